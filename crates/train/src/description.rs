//! What a saved model says of itself.

use libellus_weights::Checkpoint;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The key of the description among the metadata of a weights file.
pub const DESCRIPTION_KEY: &str = "libellus";

/// The description in a weights file that was saved for the application `task`; `None` when it has none, as a file from
/// elsewhere.
///
/// # Errors
/// Why there is one that can't be understood.
pub fn read_description<T: DeserializeOwned>(
    checkpoint: &Checkpoint,
    task: &str,
) -> Result<Option<T>, String> {
    #[derive(Deserialize)]
    struct Kind {
        task: String,
    }
    let Some(text) = checkpoint.metadata().get(DESCRIPTION_KEY) else { return Ok(None) };
    // First of all, since the rest of another application's means nothing here.
    let kind: Kind = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if kind.task != task {
        return Err(format!("it is made for `{}`, not for `{task}`", kind.task));
    }
    serde_json::from_str(text).map(Some).map_err(|error| error.to_string())
}
