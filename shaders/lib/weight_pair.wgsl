// Two elements of 16 bits out of a word, by the constant STORAGE.
// f16 goes through unpack2x16float, one instruction on hardware: the translator's bitcast to vec2<f16> gives wrong values.
override STORAGE: u32 = 0;  // 0: f32; 1: f16; 2: bf16; the 16-bit ones two per u32

fn weight_pair(word: u32) -> vec2<f32> {
    if STORAGE == 1u { return unpack2x16float(word); }
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}
