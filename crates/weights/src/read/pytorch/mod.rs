//! Files of `torch.save`.
//!
//! Format: `torch/serialization.py`. Since PyTorch 1.6 a file is a ZIP archive with the pickle of the saved object
//! (`<name>/data.pkl`) and an entry for each storage (`<name>/data/<key>`). Before, it was a row of pickles (a magic
//! number, a version, facts about the machine, the object, the keys of the storages) and then the storages, each with
//! its length before it. Tensors are views of storages, which several can share.

mod input;
mod object;
mod pickle;
pub(crate) mod problem;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::WeightsError;
use crate::read::Contents;
use crate::read::data::Data;
use crate::read::element::{ByteOrder, Element, byte_size, element_count};
use crate::read::format::FileFormat;
use crate::read::source::Source;
use crate::read::tensor::{Located, View};
use crate::read::zip::Archive;
use input::Input;
use object::{Object, Pickled, Tensor, Value};
use problem::PickleProblem;

/// What `DataParallel` and `torch.compile` put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What `AveragedModel` keeps beside the model that it wraps: the number of updates.
const COUNTER: &str = "n_averaged";

/// The tensors without the prefixes of wrappers, if all names have them.
pub(crate) fn without_wrapper_prefixes(mut contents: Contents) -> Contents {
    while let Some(prefix) = WRAPPERS.into_iter().find(|prefix| {
        let mut names = contents.tensors.keys().filter(|name| *name != COUNTER).peekable();
        names.peek().is_some() && names.all(|name| name.len() > prefix.len() && name.starts_with(prefix))
    }) {
        contents.tensors.remove(COUNTER);
        let tensors = std::mem::take(&mut contents.tensors).into_iter();
        contents.tensors = tensors.map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
    }
    contents
}

/// The tensors of a ZIP archive.
pub(crate) fn archive(archive: &Archive, part: Option<&str>) -> Result<Contents, WeightsError> {
    let source = archive.source();
    let path = || source.path().to_owned();
    let pickles: Vec<&str> = archive.names().filter(|name| is_root_entry(name, "data.pkl")).collect();
    let [pickle] = pickles[..] else {
        let found = match pickles.len() {
            0 => {
                "is a ZIP archive, but neither PyTorch's (no `data.pkl`) nor NumPy's (not all entries are `.npy`)"
            }
            _ => "is a ZIP archive with several `data.pkl`",
        };
        return Err(WeightsError::Unrecognised { path: path(), found: found.into() });
    };
    let root = pickle.strip_suffix("data.pkl").unwrap_or_default();
    if archive.names().any(|name| name.strip_prefix(root) == Some("constants.pkl")) {
        let found = "is a TorchScript program, not a state dictionary; save `model.state_dict()` instead";
        return Err(WeightsError::Unrecognised { path: path(), found: found.into() });
    }
    let entry = |name: &str| archive.data(name, FileFormat::PyTorch);
    let order = match entry(&format!("{root}byteorder"))? {
        Some(data) if data.length <= 8 => {
            let mut text = vec![0; data.length as usize];
            data.reader().read(&mut text)?;
            if text == b"big" { ByteOrder::Big } else { ByteOrder::Little }
        }
        _ => ByteOrder::Little,
    };
    let Some(data) = entry(pickle)? else {
        return Err(WeightsError::NoTensors { path: path() });
    };
    if data.length > pickle::MAX_LENGTH {
        return Err(WeightsError::TooLarge {
            path: path(),
            what: format!("`{pickle}`"),
            claimed: data.length,
            limit: pickle::MAX_LENGTH,
        });
    }
    let mut input = Input::new(&data);
    let pickled = pickle::read(&mut input)?;
    let offset = input.position();
    if offset != data.length {
        return Err(WeightsError::Pickle { path: path(), offset, problem: PickleProblem::LeftOver });
    }
    drop(input);

    let mut storages: HashMap<&str, Data> = HashMap::new();
    let mut contents = Contents::default();
    for (name, tensor) in state::tensors(&pickled, source.path(), part)? {
        let bad = |reason: String| WeightsError::BadTensor { path: path(), tensor: name.clone(), reason };
        let key = key_of(&pickled, tensor);
        if !storages.contains_key(key) {
            let data = entry(&format!("{root}data/{key}"))?;
            let data =
                data.ok_or_else(|| bad(format!("its storage, entry `{root}data/{key}`, is missing")))?;
            storages.insert(key, data);
        }
        let located = located(&pickled, tensor, storages[key].clone(), order).map_err(bad)?;
        contents.tensors.insert(name, located);
    }
    Ok(contents)
}

/// Whether an entry has this name in the archive's only folder (or, in some rewritten archives, in none).
fn is_root_entry(name: &str, file: &str) -> bool {
    name == file || name.split_once('/').is_some_and(|(_, rest)| rest == file)
}

/// The first object of an old file, `0x1950a86a20f9469cfc6c`.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The tensors of a file from before the archives.
pub(crate) fn legacy(source: &Arc<Source>, part: Option<&str>) -> Result<Contents, WeightsError> {
    let path = || source.path().to_owned();
    let mut start = [0; 32];
    let length = source.length().min(32) as usize;
    source.read_at(0, &mut start[..length])?;
    if !start.windows(MAGIC.len()).any(|window| window == MAGIC) {
        let found = "is a Python pickle, but none that `torch.save` wrote";
        return Err(WeightsError::Unrecognised { path: path(), found: found.into() });
    }
    let damaged =
        |reason: String| WeightsError::Malformed { path: path(), format: FileFormat::LegacyPyTorch, reason };

    let data = Data::plain(source, 0, source.length());
    let mut input = Input::new(&data);
    pickle::read(&mut input)?;
    if pickle::read(&mut input)?.root != Value::Int(1001) {
        return Err(damaged("its version isn't 1001".into()));
    }
    let machine = pickle::read(&mut input)?;
    let order = match field(&machine, "little_endian") {
        Some(Value::Bool(false)) => ByteOrder::Big,
        _ => ByteOrder::Little,
    };
    let pickled = pickle::read(&mut input)?;
    let keys = pickle::read(&mut input)?;
    let keys = match keys.object(keys.root) {
        Some(Object::List(items)) => items.iter().map(|key| keys.text(*key)).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let keys = keys.ok_or_else(|| damaged("the list of its storages isn't one".into()))?;

    let sizes: HashMap<&str, Element> = pickled
        .storages()
        .filter_map(|storage| {
            Some((pickled.text(Value::Object(storage.key))?, storage.element.unwrap_or(Element::U8)))
        })
        .collect();
    let mut storages = BTreeMap::new();
    let mut position = input.position();
    for key in keys {
        let cut_off =
            |expected: u64| WeightsError::Truncated { path: path(), expected, found: source.length() };
        let start = position.saturating_add(8);
        if start > source.length() {
            return Err(cut_off(start));
        }
        let mut length = [0; 8];
        source.read_at(position, &mut length)?;
        let length = match order {
            ByteOrder::Little => u64::from_le_bytes(length),
            ByteOrder::Big => u64::from_be_bytes(length),
        };
        let element = sizes.get(key).ok_or_else(|| damaged(format!("no tensor has storage `{key}`")))?;
        let bytes = usize::try_from(length).ok().and_then(|length| byte_size(*element, length));
        let bytes = bytes.ok_or_else(|| damaged(format!("storage `{key}` claims {length} elements")))?;
        position = start.saturating_add(bytes);
        if position > source.length() {
            return Err(cut_off(position));
        }
        if storages.insert(key, Data::plain(source, start, bytes)).is_some() {
            return Err(damaged(format!("storage `{key}` occurs twice")));
        }
    }
    if position != source.length() {
        return Err(damaged(format!("{} bytes follow its last storage", source.length() - position)));
    }

    let mut contents = Contents::default();
    for (name, tensor) in state::tensors(&pickled, source.path(), part)? {
        let bad = |reason: String| WeightsError::BadTensor { path: path(), tensor: name.clone(), reason };
        let key = key_of(&pickled, tensor);
        let data = storages.get(key).ok_or_else(|| bad(format!("its storage `{key}` is missing")))?;
        let located = located(&pickled, tensor, data.clone(), order).map_err(bad)?;
        contents.tensors.insert(name, located);
    }
    Ok(contents)
}

fn field(pickled: &Pickled, name: &str) -> Option<Value> {
    match pickled.object(pickled.root)? {
        Object::Dict(entries) => {
            entries.iter().find(|(key, _)| pickled.text(*key) == Some(name)).map(|(_, value)| *value)
        }
        _ => None,
    }
}

fn key_of<'a>(pickled: &'a Pickled, tensor: &Tensor) -> &'a str {
    pickled.text(Value::Object(tensor.storage.key)).unwrap_or_default()
}

/// Compares a tensor with its storage.
fn located(pickled: &Pickled, tensor: &Tensor, data: Data, order: ByteOrder) -> Result<Located, String> {
    let Tensor { storage, element, first, shape, strides } = tensor;
    let sizes = |value| pickled.sizes(value).ok_or("its shape and strides were changed after it was made");
    let (shape, strides) = (sizes(*shape)?, sizes(*strides)?);
    let claimed = match storage.element {
        Some(element) => usize::try_from(storage.length).ok().and_then(|length| byte_size(element, length)),
        None => Some(storage.length),
    };
    if claimed != Some(data.length) {
        let claimed = claimed.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string());
        return Err(format!("its storage should have {claimed} bytes, it has {}", data.length));
    }
    // Computed first, because a tensor without elements may have any strides.
    element_count(&shape).ok_or_else(|| format!("its shape {shape:?} is too large"))?;
    let (_, size) = element.block().unwrap_or((1, 1));
    let available = data.length / size as u64;
    let view = View::new(&shape, &strides, *first, available, data.source.length())?;
    Ok(Located { shape, element: *element, order, data, view })
}
