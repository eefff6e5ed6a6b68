//! What a model is made of.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use libellus_layers::trace::{Event, shapes};
use serde::Serialize;

use crate::{Design, InspectError};

/// A model's modules, with what they put out and cost for one input of the model's own size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Shapes of the inputs by name.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Shapes of the outputs by name.
    pub outputs: Vec<(String, Vec<usize>)>,
    /// Every module with parameters, in the model's order: each before those inside it.
    pub rows: Vec<Row>,
    /// The whole model.
    pub total: Cost,
}

/// A module of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its path, as in the names of its parameters.
    pub path: String,
    /// How many modules it is inside of.
    pub depth: usize,
    /// Its type; for a list of modules, nothing.
    pub kind: Option<String>,
    /// The shape of its output, where it is known.
    pub output: Option<Vec<usize>>,
    /// All that is inside it, itself included.
    pub cost: Cost,
}

/// The size of a module, and what it takes to apply it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Trainable numbers.
    pub parameters: usize,
    /// Multiply-accumulate operations, those of matrix products and convolutions.
    pub macs: u64,
}

/// Lists the modules of a model. Nothing is computed and no parameter is drawn, so this is quick for any size.
///
/// # Errors
/// If the configuration describes no model, one that doesn't take an input of its own size, or one whose input or a
/// layer's output no memory holds.
pub fn summarize(design: &Design, device: &Device) -> Result<Summary, InspectError> {
    let model = design.config.init(device)?;
    let mut walk = Walk::default();
    model.visit(&mut walk);
    let Walk { mut rows, place_of, .. } = walk;

    let useless = |source| InspectError::Useless { name: design.name.clone(), source };
    let example = design.config.example().map_err(useless)?;
    let (outputs, events) = shapes(|| design.config.run(&model, &example))
        .map_err(|source| InspectError::OutputTooLarge { name: design.name.clone(), source })?;
    let outputs = outputs.map_err(useless)?;
    let mut total = Cost { parameters: model.num_params(), macs: 0 };
    // The cost of products of activations belongs to the next module that says its name.
    let mut unclaimed = 0;
    for event in events {
        match event {
            Event::Layer(layer) => {
                total.macs = total.macs.saturating_add(layer.macs);
                let Some(&place) = place_of.get(&layer.parameter) else { continue };
                add_macs(&mut rows, place, layer.macs);
                rows[place].output = Some(layer.shape);
            }
            Event::Product { macs } => {
                total.macs = total.macs.saturating_add(macs);
                unclaimed = u64::saturating_add(unclaimed, macs);
            }
            Event::Tap { name, shape, .. } => {
                if let Some(place) = rows.iter().position(|row| row.path == name) {
                    add_macs(&mut rows, place, unclaimed);
                    rows[place].output = Some(shape);
                    unclaimed = 0;
                }
            }
        }
    }
    // A dropout, say, has nothing to show.
    rows.retain(|row| row.cost != Cost::default() || row.output.is_some());
    let named = |tensors: &libellus_models::Tensors| {
        tensors.iter().map(|(name, data)| (name.to_owned(), data.shape().as_slice().to_vec())).collect()
    };
    Ok(Summary { inputs: named(&example), outputs: named(&outputs), rows, total })
}

/// Adds to a module and to all that it is inside of.
fn add_macs(rows: &mut [Row], place: usize, macs: u64) {
    let mut depth = usize::MAX;
    for row in rows[..=place].iter_mut().rev() {
        if row.depth < depth {
            depth = row.depth;
            row.cost.macs = row.cost.macs.saturating_add(macs);
        }
    }
}

/// Finds the modules of a model.
#[derive(Default)]
struct Walk {
    rows: Vec<Row>,
    /// The modules that the walk is in, by their places in `rows`; the last segment is a field of the last one.
    inside: Vec<Segment>,
    /// The module that each parameter belongs to.
    place_of: HashMap<ParamId, usize>,
}

struct Segment {
    name: String,
    /// The row of this module, once something was found in it.
    row: Option<usize>,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, container: &str) {
        if container.starts_with("Enum:") {
            return;
        }
        // What the container is called is known from inside it.
        if let Some(kind) = container.strip_prefix("Struct:")
            && let Some(row) = self.row()
        {
            self.rows[row].kind.get_or_insert_with(|| kind.to_owned());
        }
        self.inside.push(Segment { name: name.to_owned(), row: None });
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.inside.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // In a fresh model, parameters are yet to be drawn. What already has values are running statistics.
        let parameters = match param.is_initialized() {
            true => 0,
            false => param.lazy_shape().num_elements(),
        };
        // The last segment is the parameter's own name. One that belongs to the model itself gets a row of its own.
        let Some(owner) = self.inside.len().checked_sub(2) else {
            let path = self.inside.iter().map(|segment| segment.name.clone()).collect();
            let (kind, output) = (Some("parameter".to_owned()), None);
            self.rows.push(Row { path, depth: 0, kind, output, cost: Cost { parameters, macs: 0 } });
            return;
        };
        for segment in &self.inside[..=owner] {
            if let Some(row) = segment.row {
                self.rows[row].cost.parameters += parameters;
            }
        }
        if let Some(row) = self.inside[owner].row {
            self.place_of.insert(param.id, row);
        }
    }
}

impl Walk {
    /// The row of the module that the walk is in, made if it isn't there.
    fn row(&mut self) -> Option<usize> {
        let depth = self.inside.len().checked_sub(1)?;
        for index in 0..=depth {
            if self.inside[index].row.is_none() {
                let path = self.inside[..=index].iter().map(|segment| segment.name.as_str());
                let path = path.collect::<Vec<_>>().join(".");
                self.inside[index].row = Some(self.rows.len());
                self.rows.push(Row { path, depth: index, kind: None, output: None, cost: Cost::default() });
            }
        }
        self.inside[depth].row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libellus_backend::testing::device;
    use libellus_models::presets;

    #[test]
    fn rows_add_up() {
        for preset in presets() {
            let design = Design::preset(preset.name).expect("a preset");
            let summary = summarize(&design, &device()).expect("a valid preset");
            let top = |of: fn(&Row) -> u64| -> u64 {
                summary.rows.iter().filter(|row| row.depth == 0).map(of).sum()
            };
            assert_eq!(
                top(|row| row.cost.parameters as u64),
                summary.total.parameters as u64,
                "{}",
                preset.name
            );
            assert!(top(|row| row.cost.macs) <= summary.total.macs, "{}", preset.name);
        }
    }

    #[test]
    fn a_network_is_its_layers() {
        let design = Design::preset("lenet5").expect("a preset");
        let summary = summarize(&design, &device()).expect("a valid preset");
        let rows: Vec<_> = summary
            .rows
            .iter()
            .map(|row| (row.path.as_str(), row.kind.as_deref().unwrap_or(""), row.output.clone(), row.cost))
            .collect();
        let cost = |parameters, macs| Cost { parameters, macs };
        assert_eq!(
            rows,
            [
                ("conv1", "Conv2d", Some(vec![1, 6, 28, 28]), cost(156, 28 * 28 * 6 * 25)),
                ("conv2", "Conv2d", Some(vec![1, 16, 10, 10]), cost(2416, 100 * 16 * 150)),
                ("fc1", "Linear", Some(vec![1, 120]), cost(48_120, 48_000)),
                ("fc2", "Linear", Some(vec![1, 84]), cost(10_164, 10_080)),
                ("fc3", "Linear", Some(vec![1, 10]), cost(850, 840)),
            ]
        );
        assert_eq!(summary.inputs, [("images".to_owned(), vec![1, 1, 28, 28])]);
        assert_eq!(summary.total, cost(61_706, 117_600 + 240_000 + 48_000 + 10_080 + 840));
    }
}
