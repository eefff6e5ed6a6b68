//! What a pickle can be made of.

use crate::read::element::Element;

/// Most dimensions of a tensor.
const MAX_RANK: usize = 16;

/// What the stack holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Global(Global),
    Object(Id),
}

impl Value {
    /// A number that isn't negative.
    pub(crate) fn size(self) -> Option<u64> {
        match self {
            Self::Int(number) => number.try_into().ok(),
            _ => None,
        }
    }
}

/// The number of an object.
pub(crate) type Id = u32;

#[derive(Debug)]
pub(crate) enum Object {
    Text(Box<str>),
    /// Raw bytes, which no tensor's description has.
    Bytes,
    Tuple(Box<[Value]>),
    List(Vec<Value>),
    /// In the order of insertion. Of two entries with one key Python keeps the later one.
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    /// Boxed, because it is far larger than all others.
    Tensor(Box<Tensor>),
}

/// Memory that tensors are views of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The text that names it in the file.
    pub(crate) key: Id,
    /// `None` if it is just bytes.
    pub(crate) element: Option<Element>,
    /// Elements, or bytes.
    pub(crate) length: u64,
}

/// A view of a storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor {
    pub(crate) storage: Storage,
    pub(crate) element: Element,
    /// Its first element.
    pub(crate) first: u64,
    /// Tuples of its lengths and strides. Many tensors can share one, so they are looked up when one is wanted.
    pub(crate) shape: Value,
    pub(crate) strides: Value,
}

/// All that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildTensorV3,
    RebuildParameter,
    RebuildParameterWithState,
    Storage(Element),
    UntypedStorage,
    Dtype(Element),
    Size,
    Device,
}

impl Global {
    /// The global of this name, if it is one of those.
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensorV2,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorV3,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch._utils", "_rebuild_parameter_with_state") => Self::RebuildParameterWithState,
            ("torch.storage", "UntypedStorage") => Self::UntypedStorage,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch", "DoubleStorage") => Self::Storage(Element::F64),
            ("torch", "FloatStorage") => Self::Storage(Element::F32),
            ("torch", "HalfStorage") => Self::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Element::BF16),
            ("torch", "LongStorage") => Self::Storage(Element::I64),
            ("torch", "IntStorage") => Self::Storage(Element::I32),
            ("torch", "ShortStorage") => Self::Storage(Element::I16),
            ("torch", "CharStorage") => Self::Storage(Element::I8),
            ("torch", "ByteStorage") => Self::Storage(Element::U8),
            ("torch", "BoolStorage") => Self::Storage(Element::Bool),
            ("torch", "float64" | "double") => Self::Dtype(Element::F64),
            ("torch", "float32" | "float") => Self::Dtype(Element::F32),
            ("torch", "float16" | "half") => Self::Dtype(Element::F16),
            ("torch", "bfloat16") => Self::Dtype(Element::BF16),
            ("torch", "int64" | "long") => Self::Dtype(Element::I64),
            ("torch", "int32" | "int") => Self::Dtype(Element::I32),
            ("torch", "int16" | "short") => Self::Dtype(Element::I16),
            ("torch", "int8") => Self::Dtype(Element::I8),
            ("torch", "uint64") => Self::Dtype(Element::U64),
            ("torch", "uint32") => Self::Dtype(Element::U32),
            ("torch", "uint16") => Self::Dtype(Element::U16),
            ("torch", "uint8") => Self::Dtype(Element::U8),
            ("torch", "bool") => Self::Dtype(Element::Bool),
            _ => return None,
        })
    }
}

/// What a pickle has made: its result, and the objects that this refers to.
pub(crate) struct Pickled {
    pub(crate) root: Value,
    pub(crate) objects: Vec<Object>,
}

impl Pickled {
    /// The object that a value stands for, if it does.
    pub(crate) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.objects.get(id as usize),
            _ => None,
        }
    }

    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        match self.object(value)? {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The lengths or strides of a tensor: a tuple (or list, as old versions have it) of numbers that aren't negative.
    pub(crate) fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let items: &[Value] = match self.object(value)? {
            Object::Tuple(items) => items,
            Object::List(items) => items,
            _ => return None,
        };
        (items.len() <= MAX_RANK).then_some(())?;
        items.iter().map(|item| item.size()?.try_into().ok()).collect()
    }

    /// All storages that it names.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}
