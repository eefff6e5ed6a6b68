//! A loss and its parts.

use burn::tensor::Tensor;

/// What one step makes small: a number to differentiate, and what it is made of.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The number to differentiate, shape `[1]`.
    pub total: Tensor<1>,
    /// Its parts, for the log; empty where there is only one.
    pub parts: Vec<Part>,
}

/// A named part of a loss, such as the box and the class part of a detector's.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the log.
    pub name: &'static str,
    /// Its value, shape `[1]`, apart from the graph: logging it keeps no activation alive.
    pub value: Tensor<1>,
}

impl Loss {
    /// A loss without parts.
    pub fn new(total: Tensor<1>) -> Self {
        Self { total, parts: Vec::new() }
    }

    /// Names a part. The total is unchanged: a part is for the log only.
    pub fn with_part(mut self, name: &'static str, value: Tensor<1>) -> Self {
        self.parts.push(Part { name, value: value.inner() });
        self
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use libellus_backend::testing::device;

    use super::Loss;

    #[test]
    fn parts_keep_their_order_and_leave_the_graph() {
        let device = device().autodiff();
        let value = || Tensor::<1>::from_floats([2.0], &device).require_grad();
        let loss = Loss::new(value()).with_part("boxes", value() * 2.0).with_part("classes", value() * 3.0);
        let parts: Vec<_> =
            loss.parts.into_iter().map(|part| (part.name, part.value.into_scalar::<f32>())).collect();
        assert_eq!(parts, [("boxes", 4.0), ("classes", 6.0)]);

        let detached = Loss::new(value()).with_part("boxes", value()).parts.remove(0).value;
        assert!(!detached.is_autodiff());
    }
}
