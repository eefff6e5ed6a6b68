//! What can be wrong with a pickle.

/// Why a pickle can't be interpreted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleProblem {
    /// It ends before its last instruction.
    #[error("it is cut off")]
    CutOff,
    /// An instruction that tensors don't need, or that doesn't exist.
    #[error("instruction {opcode:#04x} isn't known")]
    UnknownInstruction {
        /// Its code.
        opcode: u8,
    },
    /// A version of the format that isn't read.
    #[error("protocol {version} isn't read, only 2 to 5")]
    Protocol {
        /// The version.
        version: u8,
    },
    /// An instruction takes more from the stack than is there.
    #[error("it takes more from its stack than it put there")]
    StackUnderflow,
    /// An instruction goes back to a mark that isn't there.
    #[error("it goes back to a mark that it didn't set")]
    NoMark,
    /// A slot of the memo is read before it is written.
    #[error("it recalls object {slot}, which it hasn't memorised")]
    EmptyMemo {
        /// The slot.
        slot: u32,
    },
    /// Marks or dictionaries within each other.
    #[error("it is nested more than {limit} deep")]
    TooDeep {
        /// How deep it may be.
        limit: usize,
    },
    /// A dictionary is part of itself.
    #[error("a dictionary contains itself")]
    Cycle,
    /// A text, or the whole, is longer than what is left of the file or than is allowed.
    #[error("it claims {claimed} bytes, {left} are left")]
    TooLong {
        /// What it claims.
        claimed: u64,
        /// What is left.
        left: u64,
    },
    /// What it makes takes more memory than any table of tensors in a file of this size needs.
    #[error("what it makes takes more than {limit} bytes of memory")]
    TooMuchMemory {
        /// How many bytes are allowed.
        limit: u64,
    },
    /// It takes more steps than any table of tensors needs.
    #[error("it has more than {limit} instructions")]
    TooManySteps {
        /// How many are allowed.
        limit: u32,
    },
    /// A text isn't UTF-8, or there is something else where a text has to be.
    #[error("there is no text where one has to be")]
    NotText,
    /// It calls something that isn't a global.
    #[error("it calls something that isn't a function")]
    NotCallable,
    /// It calls a known global, or uses an instruction, with something else than PyTorch does.
    #[error("the arguments of {of} aren't what PyTorch writes")]
    WrongArguments {
        /// What is called.
        of: &'static str,
    },
    /// It ends with more than one object.
    #[error("something is left when it ends")]
    LeftOver,
}
