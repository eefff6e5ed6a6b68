//! From a module into a file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path as FilePath;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
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
/// stored in the precision they are held in.
///
/// # Errors
/// If the file can't be written (what was there stays), two parameters get one name, or a parameter is
/// quantised.
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

/// The tensors of a module under the names and in the shapes of a layout, in the order of the file.
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
fn arrange(found: Vec<(String, TensorData)>, layout: &Layout) -> Result<Vec<Stored>, WeightsError> {
    let mut ours_of: BTreeMap<String, String> = BTreeMap::new();
    let mut stored = Vec::with_capacity(found.len());
    let mut push = |ours: &str, name: String, data: TensorData| {
        if let Some(first) = ours_of.insert(name.clone(), ours.to_owned()) {
            return Err(WeightsError::NameClash {
                layout: layout.name,
                name,
                first,
                second: ours.to_owned(),
            });
        }
        let dtype = stored_dtype(data.dtype()).ok_or_else(|| WeightsError::Unsavable {
            tensor: ours.to_owned(),
            reason: format!("safetensors has no element type {:?}", data.dtype()),
        })?;
        stored.push(Stored { name, dtype, data });
        Ok(())
    };
    // Members of a joined tensor, kept until the last of them is there.
    let mut waiting: BTreeMap<String, BTreeMap<String, TensorData>> = BTreeMap::new();
    for (ours, data) in found {
        let placement = layout.place(&ours);
        let data = stored_form(&ours, data, &placement, layout)?;
        for alias in placement.aliases.iter().filter(|alias| alias.written) {
            push(&ours, alias.theirs.clone(), data.clone())?;
        }
        match placement.relation {
            Relation::Whole(name) => push(&ours, name, data)?,
            Relation::Parts { theirs, dim } => {
                let length = data.shape().as_slice().get(dim).copied().unwrap_or(0);
                if !length.is_multiple_of(theirs.len()) {
                    let reason = format!(
                        "layout `{}` stores it in {} parts, but it has {length} entries",
                        layout.name,
                        theirs.len()
                    );
                    return Err(WeightsError::Unsavable { tensor: ours, reason });
                }
                let part = length / theirs.len();
                for (index, name) in theirs.into_iter().enumerate() {
                    push(&ours, name, narrow(&data, dim, index * part, part))?;
                }
            }
            Relation::Member { theirs, dim, ours: members } => {
                let there = waiting.entry(theirs.clone()).or_default();
                there.insert(ours.clone(), data);
                if there.len() == members.len() {
                    let parts: Vec<_> = members.iter().filter_map(|member| there.remove(member)).collect();
                    push(&ours, theirs, concatenate(&parts, dim))?;
                }
            }
        }
    }
    Ok(stored)
}

fn stored_form(
    ours: &str,
    data: TensorData,
    placement: &Placement,
    layout: &Layout,
) -> Result<TensorData, WeightsError> {
    let data = match placement.transposed {
        true if data.rank() != 2 => {
            let reason =
                format!("layout `{}` transposes it, but it has {} dimensions", layout.name, data.rank());
            return Err(WeightsError::Unsavable { tensor: ours.to_owned(), reason });
        }
        true => transpose(data),
        false => data,
    };
    Ok(match placement.rope_pairs {
        Some(head_dim) => reorder_rows(data, head_dim, RowOrder::Pairs),
        None => data,
    })
}

/// A tensor as it goes into the file.
pub(crate) struct Stored {
    pub(crate) name: String,
    dtype: Dtype,
    pub(crate) data: TensorData,
}

/// Writes a safetensors file.
pub(crate) fn write(
    file: &mut dyn Write,
    stored: &[Stored],
    metadata: &BTreeMap<String, String>,
) -> io::Result<()> {
    let mut header = serde_json::to_vec(&Header { stored, metadata })?;
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    stored.iter().try_for_each(|tensor| file.write_all(tensor.data.as_bytes()))
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
        for Stored { name, dtype, data } in self.stored {
            let start = end;
            end += data.as_bytes().len();
            let shape = data.shape().as_slice().to_vec();
            map.serialize_entry(name, &Entry { dtype: *dtype, shape, data_offsets: (start, end) })?;
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

/// Reads every tensor of a module, in the form it is stored in.
struct Collector {
    path: Path,
    found: Vec<(String, TensorData)>,
}

impl Collector {
    fn push(&mut self, data: TensorData) {
        // On GPU backends the copy happens at the first look at the bytes, and would see later changes.
        let _ = data.as_bytes();
        self.found.push((self.path.name(), data));
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
        self.push(param.transform_for_save().val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.push(param.transform_for_save().val().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let data = param.transform_for_save().val().into_data();
        // One byte per element, whatever the backend holds.
        self.push(data.convert::<bool>());
    }
}
