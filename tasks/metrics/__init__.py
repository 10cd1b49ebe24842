"""How good pictures and sound are: `scores` (PSNR, SSIM), `flicker`, `ink`."""
