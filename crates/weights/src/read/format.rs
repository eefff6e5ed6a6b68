//! The names of formats.

use std::fmt;

/// What a checkpoint can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Safetensors.
    Safetensors,
    /// The index of a sharded checkpoint.
    Index,
    /// A ZIP archive, of which it isn't known yet what is in it.
    Zip,
    /// What `torch.save` writes.
    PyTorch,
    /// What `torch.save` wrote before PyTorch 1.6.
    LegacyPyTorch,
    /// One array of NumPy.
    Npy,
    /// Several of them.
    Npz,
    /// The format of llama.cpp.
    Gguf,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors file",
            Self::Index => "index of shards",
            Self::Zip => "ZIP archive",
            Self::PyTorch => "PyTorch archive",
            Self::LegacyPyTorch => "PyTorch file",
            Self::Npy => "NumPy array",
            Self::Npz => "NumPy archive",
            Self::Gguf => "GGUF file",
        })
    }
}
