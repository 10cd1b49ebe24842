"""How good pictures and sound are, in numbers.

`scores` (PSNR, SSIM), `flicker`, `ink` (lines), `loudness` (EBU R 128), `film_quality` (a film
beside an earlier one). In: frames or a film, and what they should be. Out: numbers; thresholds are
the caller's.
"""
