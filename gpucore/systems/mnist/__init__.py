"""MNIST: two classifiers of handwritten digits."""
