//! From a module into a file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path as FilePath;
use std::rc::Rc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Shape, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo as Entry;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::arrange::{RowOrder, concatenate, narrow, reorder_rows, transpose};
use crate::atomic::write_atomic;
use crate::error::WeightsError;
use crate::layout::{Layout, Placement, Relation};
use crate::walk::{Path, settle_running_statistics};

/// Writes the parameters and running statistics of `module` to a safetensors file, under the names and in the
/// shapes of `layout`, with `metadata` and the layout's name in its header.
///
/// The write is atomic ([`write_atomic`]), and the same values give the same bytes. Floating-point values are
/// stored in the precision they are held in. No more than
/// one tensor is copied at a time.
///
/// # Errors
/// If the file can't be written (what was there stays), two parameters get one name, the layout joins a parameter with
/// one that the module lacks, or a parameter is quantised.
pub fn save<M: Module>(
    module: &M,
    path: &FilePath,
    layout: &Layout,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let _span = tracing::info_span!("save_weights", path = %path.display(), layout = layout.name).entered();
    let stored = stored(module, layout)?;
    let metadata = &described(metadata, layout);
    write_atomic(path, |file| write(file, &stored, metadata))
        .map_err(|source| WeightsError::Write { path: path.to_owned(), source })
}

/// The tensors of a module under the names and in the shapes of a layout, in the order of the file. Their values stay
/// where they are until they are written.
pub(crate) fn stored<M: Module>(module: &M, layout: &Layout) -> Result<Vec<Stored>, WeightsError> {
    settle_running_statistics(module);
    let mut collector = Collector { path: Path::default(), found: Vec::new() };
    module.visit(&mut collector);

    let mut stored = arrange(collector.found, layout)?;
    // Widest elements first, so that every tensor is aligned to its own.
    stored.sort_by(|left, right| right.dtype.cmp(&left.dtype).then_with(|| left.name.cmp(&right.name)));
    Ok(stored)
}

/// Under which key of the metadata the layout's name stands.
pub(crate) const LAYOUT_KEY: &str = "layout";

/// The metadata with the layout's name added. Hugging Face's library asks for the format besides, which is always that
/// of PyTorch but in our own layout.
pub(crate) fn described(metadata: &BTreeMap<String, String>, layout: &Layout) -> BTreeMap<String, String> {
    let mut metadata = metadata.clone();
    metadata.insert(LAYOUT_KEY.to_owned(), layout.name.to_owned());
    if layout.name != Layout::NATIVE.name {
        metadata.entry("format".to_owned()).or_insert_with(|| "pt".to_owned());
    }
    metadata
}

/// The tensors of a module as they stand in a file of this layout.
fn arrange(found: Vec<Found>, layout: &Layout) -> Result<Vec<Stored>, WeightsError> {
    let mut ours_of: BTreeMap<String, String> = BTreeMap::new();
    let mut stored = Vec::with_capacity(found.len());
    let mut push = |name: String, shape: Vec<usize>, sources: Vec<Rc<Source>>, piece: Piece| {
        let ours = &sources[0].name;
        if let Some(first) = ours_of.insert(name.clone(), ours.clone()) {
            let (layout, second) = (layout.name, ours.clone());
            return Err(WeightsError::NameClash { layout, name, first, second });
        }
        stored.push(Stored { name, dtype: sources[0].dtype, shape, sources, piece });
        Ok(())
    };
    // Members of a joined tensor, kept until the last of them is there.
    let mut waiting: BTreeMap<String, BTreeMap<String, Rc<Source>>> = BTreeMap::new();
    for found in found {
        let placement = layout.place(&found.name);
        let source = Rc::new(Source::new(found, &placement, layout)?);
        let shape = &source.shape;
        for alias in placement.aliases.iter().filter(|alias| alias.written) {
            push(alias.theirs.clone(), shape.clone(), vec![source.clone()], Piece::Whole)?;
        }
        match placement.relation {
            Relation::Whole(name) => push(name, shape.clone(), vec![source], Piece::Whole)?,
            Relation::Parts { theirs, dim } => {
                let length = shape.get(dim).copied().unwrap_or(0);
                if !length.is_multiple_of(theirs.len()) {
                    let parts = theirs.len();
                    let reason = format!("is stored in {parts} parts, but has {length} entries");
                    return Err(unsavable(&source.name, layout, &reason));
                }
                let mut part = shape.clone();
                part[dim] = length / theirs.len();
                for (index, name) in theirs.into_iter().enumerate() {
                    let piece = Piece::Part { dim, start: index * part[dim] };
                    push(name, part.clone(), vec![source.clone()], piece)?;
                }
            }
            Relation::Member { theirs, dim, ours: members } => {
                let there = waiting.entry(theirs.clone()).or_default();
                there.insert(source.name.clone(), source);
                if there.len() == members.len() {
                    let parts: Vec<_> = members.iter().filter_map(|member| there.remove(member)).collect();
                    let mut whole = parts[0].shape.clone();
                    whole[dim] = parts.iter().map(|part| part.shape[dim]).sum();
                    waiting.remove(&theirs);
                    push(theirs, whole, parts, Piece::Joined { dim })?;
                }
            }
        }
    }
    match waiting.first_key_value() {
        Some((theirs, there)) => {
            let ours = there.keys().next().map_or("", String::as_str);
            Err(unsavable(ours, layout, &format!("is part of `{theirs}`, whose other parts aren't there")))
        }
        None => Ok(stored),
    }
}

fn unsavable(ours: &str, layout: &Layout, reason: &str) -> WeightsError {
    let reason = format!("in layout `{}` it {reason}", layout.name);
    WeightsError::Unsavable { tensor: ours.to_owned(), reason }
}

/// A tensor of the module.
struct Found {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    values: Box<dyn Fn() -> TensorData>,
}

/// A tensor of the module in its stored form, before it is cut or joined.
struct Source {
    /// Our name.
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    transposed: bool,
    rope_pairs: Option<usize>,
    values: Box<dyn Fn() -> TensorData>,
}

impl Source {
    fn new(found: Found, placement: &Placement, layout: &Layout) -> Result<Self, WeightsError> {
        let Found { name, dtype, mut shape, values } = found;
        let Some(dtype) = stored_dtype(dtype) else {
            let reason = format!("safetensors has no element type {dtype:?}");
            return Err(WeightsError::Unsavable { tensor: name, reason });
        };
        if placement.transposed {
            if shape.len() != 2 {
                let reason = format!("is stored transposed, but has {} dimensions", shape.len());
                return Err(unsavable(&name, layout, &reason));
            }
            shape.reverse();
        }
        let Placement { transposed, rope_pairs, .. } = *placement;
        Ok(Self { name, dtype, shape, transposed, rope_pairs, values })
    }

    fn read(&self) -> TensorData {
        let data = (self.values)();
        let data = if self.transposed { transpose(data) } else { data };
        match self.rope_pairs {
            Some(head_dim) => reorder_rows(data, head_dim, RowOrder::Pairs),
            None => data,
        }
    }
}

/// A tensor as it goes into the file.
pub(crate) struct Stored {
    pub(crate) name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// What it is made of: one of ours, or several to join.
    sources: Vec<Rc<Source>>,
    piece: Piece,
}

/// What is stored of the sources.
enum Piece {
    Whole,
    /// As many entries along a dimension as the shape says.
    Part {
        dim: usize,
        start: usize,
    },
    Joined {
        dim: usize,
    },
}

impl Stored {
    /// Its size in the file, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }

    fn read(&self) -> TensorData {
        match self.piece {
            Piece::Whole => self.sources[0].read(),
            Piece::Part { dim, start } => narrow(&self.sources[0].read(), dim, start, self.shape[dim]),
            Piece::Joined { dim } => {
                concatenate(&self.sources.iter().map(|source| source.read()).collect::<Vec<_>>(), dim)
            }
        }
    }
}

/// Writes a safetensors file, one tensor after the other.
pub(crate) fn write(
    file: &mut dyn Write,
    stored: &[Stored],
    metadata: &BTreeMap<String, String>,
) -> io::Result<()> {
    let mut header = serde_json::to_vec(&Header { stored, metadata })?;
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for tensor in stored {
        let data = tensor.read();
        let bytes = data.as_bytes();
        if bytes.len() != tensor.size() {
            let wrong = format!("`{}` has {} bytes, not {}", tensor.name, bytes.len(), tensor.size());
            return Err(io::Error::other(wrong));
        }
        file.write_all(bytes)?;
    }
    Ok(())
}

/// Serialises to the JSON header. The `safetensors` crate's own writer puts the metadata in a random order.
struct Header<'a> {
    stored: &'a [Stored],
    metadata: &'a BTreeMap<String, String>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", self.metadata)?;
        }
        let mut end = 0;
        for tensor in self.stored {
            let start = end;
            end += tensor.size();
            let Stored { name, dtype, shape, .. } = tensor;
            map.serialize_entry(
                name,
                &Entry { dtype: *dtype, shape: shape.clone(), data_offsets: (start, end) },
            )?;
        }
        map.end()
    }
}

fn stored_dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 | DType::Flex32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool(_) => Dtype::BOOL,
        DType::QFloat(_) => return None,
    })
}

/// Finds every tensor of a module, in the form it is stored in.
struct Collector {
    path: Path,
    found: Vec<Found>,
}

impl Collector {
    fn push(&mut self, dtype: DType, shape: Shape, values: impl Fn() -> TensorData + 'static) {
        let shape = shape.as_slice().to_vec();
        self.found.push(Found { name: self.path.name(), dtype, shape, values: Box::new(values) });
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.transform_for_save().val();
        self.push(tensor.dtype(), tensor.shape(), move || tensor.clone().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let tensor = param.transform_for_save().val();
        self.push(tensor.dtype(), tensor.shape(), move || tensor.clone().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let tensor = param.transform_for_save().val();
        // One byte per element, whatever the backend holds.
        self.push(tensor.dtype(), tensor.shape(), move || tensor.clone().into_data().convert::<bool>());
    }
}
