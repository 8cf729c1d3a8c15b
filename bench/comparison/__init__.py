"""gpucore beside PyTorch and NumPy: what `bench/compare.py` measures, row by row."""
