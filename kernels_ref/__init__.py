"""What each shader must compute, in NumPy alone: written from the formula, exact in float64."""
