//! Help for tests of what is read from checkpoints.

/// The parts of a GGUF file, each as its bytes, so that a test can put together one that lies.
pub mod gguf {
    /// A text with its length.
    pub fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    /// A pair of the metadata, whose value is of type `kind`: 4 is a `u32`, 6 an `f32`, 8 a text, 9 a list.
    pub fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        [&text(key)[..], &kind.to_le_bytes(), value].concat()
    }

    /// A list of values of type `kind`.
    pub fn list(kind: u32, values: &[Vec<u8>]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(values.len() as u64).to_le_bytes(), &values.concat()].concat()
    }

    /// The description of a tensor: its lengths fastest first, the type of its elements (0 is `f32`), and where it begins.
    pub fn tensor(name: &str, lengths: &[u64], kind: u32, offset: u64) -> Vec<u8> {
        let rank = (lengths.len() as u32).to_le_bytes();
        let lengths: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
        [&text(name)[..], &rank, &lengths, &kind.to_le_bytes(), &offset.to_le_bytes()].concat()
    }

    /// A header with these pairs and descriptions, then `data`, aligned to 32.
    pub fn file(pairs: &[Vec<u8>], tensors: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend((pairs.len() as u64).to_le_bytes());
        bytes.extend(pairs.concat());
        bytes.extend(tensors.concat());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(data);
        bytes
    }

    /// A whole Llama of one block whose weights are all zero, so that every token is as likely as any other, with these pairs besides.
    pub fn llama_of_zeros(vocab_size: u64, more: &[Vec<u8>]) -> Vec<u8> {
        let number = |key: &str, value: u32| pair(key, 4, &value.to_le_bytes());
        let mut pairs = vec![
            pair("general.architecture", 8, &text("llama")),
            number("llama.context_length", 99),
            number("llama.embedding_length", 4),
            number("llama.block_count", 1),
            number("llama.feed_forward_length", 3),
            number("llama.attention.head_count", 2),
            pair("llama.attention.layer_norm_rms_epsilon", 6, &1e-5_f32.to_le_bytes()),
        ];
        pairs.extend_from_slice(more);
        let lengths: [(&str, &[u64]); 11] = [
            ("token_embd", &[4, vocab_size]),
            ("output_norm", &[4]),
            ("blk.0.attn_norm", &[4]),
            ("blk.0.attn_q", &[4, 4]),
            ("blk.0.attn_k", &[4, 4]),
            ("blk.0.attn_v", &[4, 4]),
            ("blk.0.attn_output", &[4, 4]),
            ("blk.0.ffn_norm", &[4]),
            ("blk.0.ffn_gate", &[4, 3]),
            ("blk.0.ffn_up", &[4, 3]),
            ("blk.0.ffn_down", &[3, 4]),
        ];
        let mut end = 0;
        let tensors = lengths.map(|(name, lengths)| {
            let start = end;
            end = (start + 4 * lengths.iter().product::<u64>()).next_multiple_of(32);
            tensor(&format!("{name}.weight"), lengths, 0, start)
        });
        file(&pairs, &tensors, &vec![0; end as usize])
    }
}
