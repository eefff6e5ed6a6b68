//! Which dictionary of a saved object is the state of a model.

use std::collections::HashSet;
use std::path::Path;

use crate::error::WeightsError;
use crate::read::pytorch::object::{Id, Object, Pickled, Tensor, Value};
use crate::read::pytorch::problem::PickleProblem;

/// Keys under which training programs keep a model, beside other mappings of tensors.
const USUAL: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
    "ema",
    "model_ema",
    "ema_state_dict",
    "params_ema",
];

/// Dictionaries this deep in others are looked at.
const MAX_DEPTH: usize = 16;

/// The tensors of the one dictionary that maps names to tensors, or of the one called `part`.
///
/// A mapping of tensors has text as keys, at least one tensor, and no other mapping of tensors in it. It is looked for
/// under keys that are text, which leaves out the state of optimisers. What in it is no tensor (a counter, a version) is
/// left out. If there are several mappings and just one has a [usual](USUAL) key, that is it.
pub(crate) fn tensors<'a>(
    pickled: &'a Pickled,
    path: &Path,
    part: Option<&str>,
) -> Result<Vec<(String, &'a Tensor)>, WeightsError> {
    let mut search = Search { pickled, path, open: Vec::new(), seen: HashSet::new(), found: Vec::new() };
    search.visit(pickled.root, &mut Vec::new())?;
    let found = search.found;
    let names = || found.iter().map(|(name, _)| name.clone()).collect();
    let chosen = match part {
        Some(part) => found.iter().find(|(name, _)| name == part).ok_or_else(|| {
            WeightsError::NoSuchPart { path: path.to_owned(), part: part.to_owned(), found: names() }
        })?,
        None => {
            let usual: Vec<_> = found.iter().filter(|(name, _)| USUAL.contains(&name.as_str())).collect();
            match (&found[..], &usual[..]) {
                ([], _) => return Err(WeightsError::NoTensors { path: path.to_owned() }),
                ([only], _) => only,
                (_, [only]) => *only,
                _ => return Err(WeightsError::Ambiguous { path: path.to_owned(), found: names() }),
            }
        }
    };

    let mut tensors = Vec::new();
    let mut keys = HashSet::new();
    for (key, value) in chosen.1 {
        let (Some(name), Some(Object::Tensor(tensor))) = (pickled.text(*key), pickled.object(*value)) else {
            continue;
        };
        if !keys.insert(name) {
            let (path, reason) = (path.to_owned(), "it occurs twice".to_owned());
            return Err(WeightsError::BadTensor { path, tensor: name.to_owned(), reason });
        }
        tensors.push((name.to_owned(), &**tensor));
    }
    Ok(tensors)
}

struct Search<'a, 'b> {
    pickled: &'a Pickled,
    path: &'b Path,
    /// The dictionaries that the present one is in.
    open: Vec<Id>,
    seen: HashSet<Id>,
    found: Vec<(String, &'a [(Value, Value)])>,
}

impl<'a> Search<'a, '_> {
    fn visit(&mut self, value: Value, keys: &mut Vec<&'a str>) -> Result<(), WeightsError> {
        let (Value::Object(id), Some(Object::Dict(entries))) = (value, self.pickled.object(value)) else {
            return Ok(());
        };
        if self.open.contains(&id) {
            return Err(self.problem(PickleProblem::Cycle));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.problem(PickleProblem::TooDeep { limit: MAX_DEPTH }));
        }
        // Shared by several: the first one counts. Otherwise a few of them could be visited in very many ways.
        if !self.seen.insert(id) {
            return Ok(());
        }
        let before = self.found.len();
        self.open.push(id);
        for (key, value) in entries {
            if let Some(key) = self.pickled.text(*key) {
                keys.push(key);
                self.visit(*value, keys)?;
                keys.pop();
            }
        }
        self.open.pop();

        let is_tensor = |value: &Value| matches!(self.pickled.object(*value), Some(Object::Tensor(_)));
        if self.found.len() == before
            && entries.iter().all(|(key, _)| self.pickled.text(*key).is_some())
            && entries.iter().any(|(_, value)| is_tensor(value))
        {
            self.found.push((keys.join("."), entries));
        }
        Ok(())
    }

    fn problem(&self, problem: PickleProblem) -> WeightsError {
        WeightsError::Pickle { path: self.path.to_owned(), offset: 0, problem }
    }
}
