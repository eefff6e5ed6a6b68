//! Types of elements, and how their bytes become values.

use burn::tensor::{BoolStore, DType};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::read::blocks::Blocks;

/// What a file can hold in a tensor. Names are those of safetensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// Numbers that share scales.
    Quantised(&'static Blocks),
    /// Anything that has no counterpart in burn.
    Other(&'static str),
}

/// The order of the bytes in each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl Element {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U64 => "U64",
            Self::U32 => "U32",
            Self::U16 => "U16",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
            Self::Quantised(blocks) => blocks.name,
            Self::Other(name) => name,
        }
    }

    /// Whether several elements share a scale.
    pub(crate) fn is_quantised(self) -> bool {
        matches!(self, Self::Quantised(_))
    }

    /// How many elements make a block that can be decoded by itself, and how many bytes it takes. `None` if it can't be
    /// decoded.
    pub(crate) fn block(self) -> Option<(usize, usize)> {
        Some(match self {
            Self::F64 | Self::I64 | Self::U64 => (1, 8),
            Self::F32 | Self::I32 | Self::U32 => (1, 4),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => (1, 2),
            Self::I8 | Self::U8 | Self::Bool => (1, 1),
            Self::Quantised(blocks) => (blocks.elements, blocks.bytes),
            Self::Other(_) => return None,
        })
    }

    /// The type of the tensor that is made of it.
    pub(crate) fn dtype(self) -> Option<DType> {
        Some(match self {
            Self::F64 | Self::F32 | Self::F16 | Self::BF16 | Self::Quantised(_) => DType::F32,
            Self::I64 => DType::I64,
            Self::I32 => DType::I32,
            Self::I16 => DType::I16,
            Self::I8 => DType::I8,
            Self::U64 => DType::U64,
            Self::U32 => DType::U32,
            Self::U16 => DType::U16,
            Self::U8 => DType::U8,
            Self::Bool => DType::Bool(BoolStore::Native),
            Self::Other(_) => return None,
        })
    }
}

/// The product of the lengths, if it and its size in bytes can be told.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))?;
    (count <= isize::MAX as usize / 8).then_some(count)
}

/// The bytes that `count` elements take, if they fill whole blocks.
pub(crate) fn byte_size(element: Element, count: usize) -> Option<u64> {
    let (elements, bytes) = element.block()?;
    count.is_multiple_of(elements).then_some(())?;
    ((count / elements) as u64).checked_mul(bytes as u64)
}

/// A value that tensors of burn are made of.
pub(crate) trait Value: bytemuck::Pod {
    /// The element type that is this value's bytes, so that nothing has to be decoded.
    const SAME: Element;

    /// Decodes whole blocks.
    fn decode(bytes: &[u8], element: Element, order: ByteOrder, values: &mut [Self]);
}

/// Numbers that are taken as they are.
macro_rules! integer {
    ($($value:ident $element:ident,)*) => {$(
        impl Value for $value {
            const SAME: Element = Element::$element;

            fn decode(bytes: &[u8], _element: Element, order: ByteOrder, values: &mut [Self]) {
                let (chunks, _) = bytes.as_chunks();
                match order {
                    ByteOrder::Little => each(chunks, values, $value::from_le_bytes),
                    ByteOrder::Big => each(chunks, values, $value::from_be_bytes),
                }
            }
        }
    )*};
}

integer!(i64 I64, i32 I32, i16 I16, i8 I8, u64 U64, u32 U32, u16 U16, u8 U8,);

impl Value for f32 {
    const SAME: Element = Element::F32;

    fn decode(bytes: &[u8], element: Element, order: ByteOrder, values: &mut [Self]) {
        use ByteOrder::{Big, Little};
        match (element, order) {
            (Element::F64, Little) => each(bytes.as_chunks().0, values, |b| f64::from_le_bytes(b) as f32),
            (Element::F64, Big) => each(bytes.as_chunks().0, values, |b| f64::from_be_bytes(b) as f32),
            (Element::F16, Little) => f16_little(bytes, values),
            (Element::F16, Big) => each(bytes.as_chunks().0, values, |b| f16::from_be_bytes(b).to_f32()),
            (Element::BF16, Little) => each(bytes.as_chunks().0, values, |b| bf16::from_le_bytes(b).to_f32()),
            (Element::BF16, Big) => each(bytes.as_chunks().0, values, |b| bf16::from_be_bytes(b).to_f32()),
            (Element::Quantised(blocks), _) => blocks.decode(bytes, values),
            (_, Little) => each(bytes.as_chunks().0, values, f32::from_le_bytes),
            (_, Big) => each(bytes.as_chunks().0, values, f32::from_be_bytes),
        }
    }
}

fn each<T, const N: usize>(chunks: &[[u8; N]], values: &mut [T], decode: impl Fn([u8; N]) -> T) {
    for (value, chunk) in values.iter_mut().zip(chunks) {
        *value = decode(*chunk);
    }
}

/// With the processor's own conversion where it has one and the bytes are as it wants them.
fn f16_little(bytes: &[u8], values: &mut [f32]) {
    match bytemuck::try_cast_slice::<u8, u16>(bytes) {
        Ok(bits) if cfg!(target_endian = "little") && bits.len() == values.len() => {
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(values);
        }
        _ => each(bytes.as_chunks().0, values, |b| f16::from_le_bytes(b).to_f32()),
    }
}
