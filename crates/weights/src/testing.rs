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
}
