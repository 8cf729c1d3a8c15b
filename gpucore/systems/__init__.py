"""Systems built on gpucore, on tensors, operations, layers and pipelines alone."""
