//! Types of elements, and how their bytes become values.

use burn::tensor::{BoolStore, DType};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

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
    /// Blocks of 32 with an `f16` scale and signed bytes.
    Q8_0,
    /// Blocks of 32 with an `f16` scale and four-bit numbers around 8.
    Q4_0,
    /// Blocks of 32 with an `f16` scale, an `f16` offset and four-bit numbers.
    Q4_1,
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
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Other(name) => name,
        }
    }

    /// Whether several elements share a scale.
    pub(crate) fn is_quantised(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_0 | Self::Q4_1)
    }

    /// How many elements make a block that can be decoded by itself, and how many bytes it takes. `None` if it can't be
    /// decoded.
    pub(crate) fn block(self) -> Option<(usize, usize)> {
        Some(match self {
            Self::F64 | Self::I64 | Self::U64 => (1, 8),
            Self::F32 | Self::I32 | Self::U32 => (1, 4),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => (1, 2),
            Self::I8 | Self::U8 | Self::Bool => (1, 1),
            Self::Q8_0 => (QK, 2 + QK),
            Self::Q4_0 => (QK, 2 + QK / 2),
            Self::Q4_1 => (QK, 4 + QK / 2),
            Self::Other(_) => return None,
        })
    }

    /// The type of the tensor that is made of it.
    pub(crate) fn dtype(self) -> Option<DType> {
        Some(match self {
            Self::F64 | Self::F32 | Self::F16 | Self::BF16 | Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => {
                DType::F32
            }
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

/// Elements in a block of the quantised types.
const QK: usize = 32;

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
            (Element::Q8_0, _) => q8_0(bytes, values),
            (Element::Q4_0, _) => q4_0(bytes, values),
            (Element::Q4_1, _) => q4_1(bytes, values),
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

/// Blocks of `scale: f16, [i8; 32]`.
fn q8_0(bytes: &[u8], values: &mut [f32]) {
    for ([low, high, numbers @ ..], values) in
        bytes.as_chunks::<{ 2 + QK }>().0.iter().zip(values.chunks_mut(QK))
    {
        let scale = f16::from_le_bytes([*low, *high]).to_f32();
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = scale * f32::from(*number as i8);
        }
    }
}

/// Blocks of `scale: f16, [u8; 16]`. The low halves of the bytes are the first 16 numbers, the high halves the others.
fn q4_0(bytes: &[u8], values: &mut [f32]) {
    for ([low, high, pairs @ ..], values) in
        bytes.as_chunks::<{ 2 + QK / 2 }>().0.iter().zip(values.chunks_mut(QK))
    {
        let scale = f16::from_le_bytes([*low, *high]).to_f32();
        for (index, pair) in pairs.iter().enumerate() {
            values[index] = scale * (f32::from(pair & 15) - 8.0);
            values[index + QK / 2] = scale * (f32::from(pair >> 4) - 8.0);
        }
    }
}

/// Blocks of `scale: f16, offset: f16, [u8; 16]`, in the order of [`q4_0`].
fn q4_1(bytes: &[u8], values: &mut [f32]) {
    for ([a, b, c, d, pairs @ ..], values) in
        bytes.as_chunks::<{ 4 + QK / 2 }>().0.iter().zip(values.chunks_mut(QK))
    {
        let scale = f16::from_le_bytes([*a, *b]).to_f32();
        let offset = f16::from_le_bytes([*c, *d]).to_f32();
        for (index, pair) in pairs.iter().enumerate() {
            values[index] = scale * f32::from(pair & 15) + offset;
            values[index + QK / 2] = scale * f32::from(pair >> 4) + offset;
        }
    }
}
