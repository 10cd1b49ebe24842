"""A 2x upscaling network that also removes compression, blur, grain and dirt, trained here."""
