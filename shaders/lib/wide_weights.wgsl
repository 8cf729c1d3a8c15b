// Weights for a kernel that reads them straight from memory: lib/tile_weights.wgsl, loaded as its variants say.
//!include lib/tile_weights.wgsl
