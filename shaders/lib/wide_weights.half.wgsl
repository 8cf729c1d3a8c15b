// lib/wide_weights.wgsl for a matrix of float16 on adapters with f16.
//!include lib/tile_weights.wgsl
