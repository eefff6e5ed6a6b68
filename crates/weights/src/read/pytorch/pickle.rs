//! A machine for the pickles that PyTorch writes, and for nothing else.
//!
//! A pickle is a program for a stack machine that can name any function of Python and call it, which is how a
//! checkpoint can run code on the computer of who opens it. This machine has no such power. The globals it knows are
//! the closed list in [`Global`], and what calling one means is written out in [`Machine::call`]: making a tensor's
//! description out of numbers, or an empty dictionary. Any other global ends the reading, with its name in the error. So
//! does an instruction it doesn't know.
//!
//! What a pickle can cost is bounded too: objects live in one list and refer to each other by number, so that neither
//! nesting nor cycles can overflow the stack of this process, and the memory they take, the number of steps and the
//! length of the whole are limited ([`SMALL`], [`MAX_STEPS`], [`MAX_LENGTH`]). Text and bytes are checked against what is
//! left of the file and of the memory before they are read.
//!
//! burn-store reads PyTorch's files too, through the crate `pytorch-reader` (0.22.1), which runs nothing either and has
//! limits of its own. This reader stands beside it because it computes something else: that one keeps an object that it
//! doesn't know as a placeholder, where here its name is an error; it returns a tensor as the bytes of the file, which a
//! second buffer would have to be converted into, where here numbers are converted on the way into the memory where they
//! stay; and it leaves it to the caller to name the state dictionary. Its `zip` would also change the features with which
//! this workspace builds `flate2`.
//!
//! Format: `pickle.py` and `pickletools.py` of CPython, protocols 2 to 5; `torch/_utils.py` and
//! `torch/serialization.py` of PyTorch for what the globals do.

use std::collections::HashMap;

use crate::error::WeightsError;
use crate::read::element::Element;
use crate::read::pytorch::input::Input;
use crate::read::pytorch::object::{Global, Id, Object, Pickled, Storage, Tensor, Value};
use crate::read::pytorch::problem::PickleProblem;

/// Longest pickle, in bytes.
pub(crate) const MAX_LENGTH: u64 = 1 << 28;

/// Most instructions. A tensor takes about 30.
pub(crate) const MAX_STEPS: u32 = 1 << 23;

/// What is made may take as many bytes as the file has, or this many: a tensor's description takes about 1500, so small
/// files can have thousands of them, and a compressed one can't grow into a multiple of its size.
pub(crate) const SMALL: u64 = 8 << 20;

/// Most marks (beginnings of tuples, lists and dictionaries) that are open at a time.
pub(crate) const MAX_MARKS: usize = 1000;

/// Reads the pickle that comes next in `input`.
pub(crate) fn read(input: &mut Input<'_>) -> Result<Pickled, WeightsError> {
    let made = Pickled { root: Value::None, objects: Vec::new() };
    let limit = input.file_length().max(SMALL);
    Machine { input, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), made, taken: 0, limit }.run()
}

struct Machine<'a, 'b> {
    input: &'a mut Input<'b>,
    stack: Vec<Value>,
    /// The heights of the stack at open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    made: Pickled,
    /// Bytes that the objects take.
    taken: u64,
    /// How many they, the stack and the memo may take.
    limit: u64,
}

type Outcome<T> = Result<T, WeightsError>;

impl Machine<'_, '_> {
    fn run(mut self) -> Outcome<Pickled> {
        let start = self.input.position();
        for _ in 0..MAX_STEPS {
            if self.input.position() - start > MAX_LENGTH {
                let left = self.input.left();
                return Err(self.problem(PickleProblem::TooLong { claimed: MAX_LENGTH, left }));
            }
            let opcode = self.input.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return match self.stack.is_empty() && self.marks.is_empty() {
                    true => Ok(Pickled { root, ..self.made }),
                    false => Err(self.problem(PickleProblem::LeftOver)),
                };
            }
            self.step(opcode)?;
            self.take(0)?;
        }
        Err(self.problem(PickleProblem::TooManySteps { limit: MAX_STEPS }))
    }

    fn step(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            // PROTO, FRAME: nothing depends on them.
            0x80 => match self.input.byte()? {
                2..=5 => {}
                version => return Err(self.problem(PickleProblem::Protocol { version })),
            },
            0x95 => {
                let claimed = self.input.u64()?;
                if claimed > self.input.left() {
                    let left = self.input.left();
                    return Err(self.problem(PickleProblem::TooLong { claimed, left }));
                }
            }
            b'(' => {
                if self.marks.len() == MAX_MARKS {
                    return Err(self.problem(PickleProblem::TooDeep { limit: MAX_MARKS }));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => {
                let number = i32::from_le_bytes(self.input.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            0x8a => {
                let length = self.input.u8()?;
                self.long(length)?;
            }
            0x8b => {
                let length = self.input.u32()?;
                self.long(length)?;
            }
            b'G' => {
                self.input.array::<8>()?;
                self.stack.push(Value::Float);
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8, and Python 2's SHORT_BINSTRING, BINSTRING.
            0x8c | b'U' => {
                let length = self.input.u8()?;
                self.text(length)?;
            }
            b'X' | b'T' => {
                let length = self.input.u32()?;
                self.text(length)?;
            }
            0x8d => {
                let length = self.input.u64()?;
                self.text(length)?;
            }
            b'C' => {
                let length = self.input.u8()?;
                self.raw(length)?;
            }
            b'B' => {
                let length = self.input.u32()?;
                self.raw(length)?;
            }
            0x8e => {
                let length = self.input.u64()?;
                self.raw(length)?;
            }
            b')' => self.push(Object::Tuple(Box::default()))?,
            0x85 => self.tuple_of(1)?,
            0x86 => self.tuple_of(2)?,
            0x87 => self.tuple_of(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items.into()))?;
            }
            b']' => self.push(Object::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Object::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Object::Dict(Vec::new()))?;
                self.insert(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(&items)?;
            }
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value| self.made.text(value).map(str::to_owned);
                match text(module).zip(text(name)) {
                    Some((module, name)) => self.global(&module, &name)?,
                    None => return Err(self.problem(PickleProblem::NotText)),
                }
            }
            // INST names its class.
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                return Err(self.refused(&module, &name));
            }
            // REDUCE, NEWOBJ.
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, arguments)?;
            }
            // BUILD sets attributes: a state dictionary's `_metadata`, which nothing here needs.
            b'b' => {
                self.pop()?;
                match self.stack.last().and_then(|top| self.made.object(*top)) {
                    Some(Object::Dict(_) | Object::Tensor(_)) => {}
                    _ => return Err(self.problem(PickleProblem::WrongArguments { of: "BUILD" })),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.storage(id)?;
            }
            b'q' => {
                let slot = self.input.u8()?;
                self.remember(slot as u32)?;
            }
            b'r' => {
                let slot = self.input.u32()?;
                self.remember(slot as u32)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let slot = self.input.u8()?;
                self.recall(slot as u32)?;
            }
            b'j' => {
                let slot = self.input.u32()?;
                self.recall(slot as u32)?;
            }
            opcode => return Err(self.problem(PickleProblem::UnknownInstruction { opcode })),
        }
        Ok(())
    }

    fn problem(&self, problem: PickleProblem) -> WeightsError {
        self.input.problem(problem)
    }

    fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.made.object(value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Counts `bytes` that objects are about to take.
    fn take(&mut self, bytes: u64) -> Outcome<()> {
        self.taken = self.taken.saturating_add(bytes);
        // A hash table is at most seven eighths full, and doubles.
        let held = size_of_val(&self.stack[..]) + self.memo.len() * 2 * size_of::<(u32, Value)>();
        match self.taken.saturating_add(held as u64) > self.limit {
            true => Err(self.problem(PickleProblem::TooMuchMemory { limit: self.limit })),
            false => Ok(()),
        }
    }

    fn push(&mut self, object: Object) -> Outcome<()> {
        let items = match &object {
            Object::Tuple(items) => size_of_val(&items[..]),
            Object::List(items) => size_of_val(&items[..]),
            Object::Dict(entries) => size_of_val(&entries[..]),
            // What text takes was counted before it was read.
            Object::Text(_) | Object::Bytes | Object::Storage(_) => 0,
            Object::Tensor(_) => size_of::<Tensor>(),
        };
        self.take((size_of::<Object>() + items) as u64)?;
        self.stack.push(Value::Object(self.made.objects.len() as Id));
        self.made.objects.push(object);
        Ok(())
    }

    /// Takes the top, but nothing from below the last mark.
    fn pop(&mut self) -> Outcome<Value> {
        if self.marks.last().is_some_and(|&mark| mark == self.stack.len()) {
            return Err(self.problem(PickleProblem::StackUnderflow));
        }
        self.stack.pop().ok_or_else(|| self.problem(PickleProblem::StackUnderflow))
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| self.problem(PickleProblem::NoMark))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple_of(&mut self, count: usize) -> Outcome<()> {
        let mut items = vec![Value::None; count];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Object::Tuple(items.into()))
    }

    fn number(&mut self, bytes: usize) -> Outcome<()> {
        let mut number = 0;
        for index in 0..bytes {
            number |= i64::from(self.input.byte()?) << (8 * index);
        }
        self.stack.push(Value::Int(number));
        Ok(())
    }

    /// An integer of any length. One that takes more than 64 bits can't be a size; it is kept as a number that isn't
    /// one.
    fn long(&mut self, length: u64) -> Outcome<()> {
        let bytes = self.bytes(length)?;
        let value = match bytes.len() {
            0 => Value::Int(0),
            length @ 1..=8 => {
                let is_negative = bytes[length - 1] & 0x80 != 0;
                let mut whole = if is_negative { [0xff; 8] } else { [0; 8] };
                whole[..length].copy_from_slice(&bytes);
                Value::Int(i64::from_le_bytes(whole))
            }
            _ => Value::Float,
        };
        self.stack.push(value);
        Ok(())
    }

    fn bytes(&mut self, length: u64) -> Outcome<Vec<u8>> {
        if length <= self.input.left() {
            self.take(length)?;
        }
        self.input.bytes(length)
    }

    fn text(&mut self, length: u64) -> Outcome<()> {
        let bytes = self.bytes(length)?;
        let text = String::from_utf8(bytes).map_err(|_| self.problem(PickleProblem::NotText))?;
        self.push(Object::Text(text.into()))
    }

    fn raw(&mut self, length: u64) -> Outcome<()> {
        self.bytes(length)?;
        self.push(Object::Bytes)
    }

    /// The object at the top, `None` if there is something else.
    fn top(&mut self) -> Outcome<Option<&mut Object>> {
        let top = self.pop()?;
        self.stack.push(top);
        Ok(match top {
            Value::Object(id) => self.made.objects.get_mut(id as usize),
            _ => None,
        })
    }

    fn append(&mut self, items: &[Value]) -> Outcome<()> {
        self.take(size_of_val(items) as u64)?;
        match self.top()? {
            Some(Object::List(list)) => list.extend_from_slice(items),
            _ => return Err(self.problem(PickleProblem::WrongArguments { of: "APPEND" })),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Value]) -> Outcome<()> {
        self.take(size_of_val(items) as u64)?;
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top()? {
            Some(Object::Dict(entries)) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(self.problem(PickleProblem::WrongArguments { of: "SETITEM" })),
        }
        Ok(())
    }

    fn remember(&mut self, slot: u32) -> Outcome<()> {
        let top = self.pop()?;
        self.stack.push(top);
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Outcome<()> {
        match self.memo.get(&slot) {
            Some(value) => self.stack.push(*value),
            None => return Err(self.problem(PickleProblem::EmptyMemo { slot })),
        }
        Ok(())
    }

    fn refused(&self, module: &str, name: &str) -> WeightsError {
        // It is printed, so it may hold nothing that moves a terminal's cursor.
        let global = format!("{module}.{name}").escape_debug().to_string();
        WeightsError::RefusedGlobal { path: self.input.path().to_owned(), global }
    }

    fn global(&mut self, module: &str, name: &str) -> Outcome<()> {
        match Global::of(module, name) {
            Some(global) => self.stack.push(Value::Global(global)),
            None => return Err(self.refused(module, name)),
        }
        Ok(())
    }

    /// What the known globals do.
    fn call(&mut self, callable: Value, arguments: Value) -> Outcome<()> {
        let Value::Global(global) = callable else {
            return Err(self.problem(PickleProblem::NotCallable));
        };
        let wrong = |of: &'static str| self.problem(PickleProblem::WrongArguments { of });
        let Some(items) = self.tuple(arguments) else {
            return Err(wrong("a call"));
        };
        match (global, items) {
            (Global::OrderedDict, []) => self.push(Object::Dict(Vec::new())),
            // Python 2 passes a list of pairs.
            (Global::OrderedDict, [pairs]) => {
                let pairs = self.pairs(*pairs).ok_or_else(|| wrong("OrderedDict"))?;
                self.push(Object::Dict(pairs))
            }
            (Global::RebuildTensor, [storage, first, shape, strides]) => {
                let tensor = self.tensor(*storage, *first, *shape, *strides, None);
                self.push(Object::Tensor(Box::new(tensor.ok_or_else(|| wrong("_rebuild_tensor"))?)))
            }
            (
                Global::RebuildTensorV2,
                [storage, first, shape, strides, _, _] | [storage, first, shape, strides, _, _, _],
            ) => {
                let tensor = self.tensor(*storage, *first, *shape, *strides, None);
                self.push(Object::Tensor(Box::new(tensor.ok_or_else(|| wrong("_rebuild_tensor_v2"))?)))
            }
            (
                Global::RebuildTensorV3,
                [storage, first, shape, strides, _, _, Value::Global(Global::Dtype(element))]
                | [storage, first, shape, strides, _, _, Value::Global(Global::Dtype(element)), _],
            ) => {
                let tensor = self.tensor(*storage, *first, *shape, *strides, Some(*element));
                self.push(Object::Tensor(Box::new(tensor.ok_or_else(|| wrong("_rebuild_tensor_v3"))?)))
            }
            (Global::RebuildParameter, [data, _, _])
            | (Global::RebuildParameterWithState, [data, _, _, _]) => {
                let data = *data;
                match self.made.object(data) {
                    Some(Object::Tensor(_)) => self.stack.push(data),
                    _ => return Err(wrong("_rebuild_parameter")),
                }
                Ok(())
            }
            (Global::Size, [sizes]) => {
                let sizes = *sizes;
                self.made.sizes(sizes).ok_or_else(|| wrong("Size"))?;
                self.stack.push(sizes);
                Ok(())
            }
            // Where a tensor once was doesn't matter.
            (Global::Device, [_] | [_, _]) => {
                self.stack.push(Value::None);
                Ok(())
            }
            _ => Err(wrong("a call")),
        }
    }

    fn pairs(&self, list: Value) -> Option<Vec<(Value, Value)>> {
        let Object::List(items) = self.made.object(list)? else {
            return None;
        };
        let pair = |item: &Value| match self.made.object(*item)? {
            Object::Tuple(pair) => pair.first_chunk::<2>().filter(|_| pair.len() == 2).copied(),
            Object::List(pair) => pair.first_chunk::<2>().filter(|_| pair.len() == 2).copied(),
            _ => None,
        };
        items.iter().map(|item| pair(item).map(|[key, value]| (key, value))).collect()
    }

    fn tensor(
        &self,
        storage: Value,
        first: Value,
        shape: Value,
        strides: Value,
        element: Option<Element>,
    ) -> Option<Tensor> {
        let Object::Storage(storage) = self.made.object(storage)? else {
            return None;
        };
        Some(Tensor {
            storage: *storage,
            // Bytes that nothing gives a type are bytes.
            element: element.or(storage.element).unwrap_or(Element::U8),
            first: first.size()?,
            shape: self.made.sizes(shape).map(|_| shape)?,
            strides: self.made.sizes(strides).map(|_| strides)?,
        })
    }

    /// Refers to `('storage', type, key, location, length)`, and in old files a sixth item, the part of another storage
    /// that it is.
    fn storage(&mut self, id: Value) -> Outcome<()> {
        let storage = self.tuple(id).and_then(|items| {
            let (kind, class, key, length) = match items {
                [kind, class, key, _, length] | [kind, class, key, _, length, Value::None] => {
                    (*kind, *class, *key, *length)
                }
                _ => return None,
            };
            let element = match class {
                Value::Global(Global::Storage(element)) => Some(element),
                Value::Global(Global::UntypedStorage) => None,
                _ => return None,
            };
            let Value::Object(key_id) = key else {
                return None;
            };
            (self.made.text(kind)? == "storage").then_some(())?;
            self.made.text(key)?;
            Some(Storage { key: key_id, element, length: length.size()? })
        });
        let storage =
            storage.ok_or_else(|| self.problem(PickleProblem::WrongArguments { of: "a storage" }))?;
        self.push(Object::Storage(storage))
    }
}
