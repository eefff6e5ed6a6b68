//! The known data sets: what they are, where they are published, and how their files are told to be whole.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    DataError,
    cifar::{Cifar, is_cifar_folder},
    folder::has_subfolders,
    idx::is_idx_folder,
};

/// A known data set.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name it goes by here, and that of its folder in the data directory.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub title: &'static str,
    /// The classes, in the order of their labels.
    pub classes: &'static [&'static str],
    /// Number of training images; for embedded data without a published split, of all images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// Pixels per row and rows, which are equal in all of them.
    pub side: usize,
    /// Terms of use.
    pub licence: &'static str,
    /// Where it is described.
    pub homepage: &'static str,
    /// What its files look like.
    pub layout: Layout,
    /// What is published, none for embedded data.
    pub files: &'static [RemoteFile],
}

/// How a data set is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In the program.
    Embedded,
    /// MNIST's four IDX files.
    Idx,
    /// CIFAR's binary version.
    Cifar(Cifar),
}

/// A published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name in the folder of its data set.
    pub name: &'static str,
    /// Where it is published.
    pub address: &'static str,
    /// Its sum, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Its size in bytes.
    pub size: u64,
}

impl Entry {
    /// The folder of the data set in a data directory.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.name)
    }

    /// Whether the data set can be opened without fetching it first: its files, or image folders in their place, are
    /// there. What is in them is not looked at.
    pub fn is_present(&self, data_dir: &Path) -> bool {
        let folder = self.folder(data_dir);
        let published = match self.layout {
            Layout::Embedded => true,
            Layout::Idx => is_idx_folder(&folder),
            Layout::Cifar(cifar) => is_cifar_folder(&folder, cifar),
        };
        published || has_subfolders(&folder).unwrap_or(false)
    }

    /// Bytes to fetch in all.
    pub fn download_size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Finds a known data set by its name.
///
/// # Errors
/// [`DataError::UnknownDataset`], with the names there are.
pub fn find(name: &str) -> Result<&'static Entry, DataError> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| DataError::UnknownDataset {
        name: name.to_owned(),
        known: ENTRIES.iter().map(|entry| entry.name).collect(),
    })
}

/// All known data sets.
pub static ENTRIES: [Entry; 5] = [
    Entry {
        name: "digits",
        title: "scans of handwritten digits, embedded in the program",
        classes: &DIGITS,
        train: 1_797,
        test: 0,
        side: 8,
        licence: "CC BY 4.0 (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository)",
        homepage: "https://doi.org/10.24432/C50P49",
        layout: Layout::Embedded,
        files: &[],
    },
    Entry {
        name: "mnist",
        title: "handwritten digits",
        classes: &DIGITS,
        train: 60_000,
        test: 10_000,
        side: 28,
        licence: "CC BY-SA 3.0 (Y. LeCun and C. Cortes)",
        homepage: "http://yann.lecun.com/exdb/mnist/",
        layout: Layout::Idx,
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                address: "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                size: 9_912_422,
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                address: "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                size: 28_881,
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                address: "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                size: 1_648_877,
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                address: "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                size: 4_542,
            },
        ],
    },
    Entry {
        name: "fashion-mnist",
        title: "articles of clothing, in MNIST's format",
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        train: 60_000,
        test: 10_000,
        side: 28,
        licence: "MIT (Zalando SE)",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        layout: Layout::Idx,
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                size: 26_421_880,
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                size: 29_515,
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-images-idx3-ubyte.gz",
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                size: 4_422_102,
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                size: 5_148,
            },
        ],
    },
    Entry {
        name: "cifar10",
        title: "tiny colour photographs of animals and vehicles",
        classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        train: 50_000,
        test: 10_000,
        side: 32,
        licence: "none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        layout: Layout::Cifar(Cifar::Ten),
        files: &[RemoteFile {
            name: "cifar-10-binary.tar.gz",
            address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            size: 170_052_171,
        }],
    },
    Entry {
        name: "cifar100",
        title: "tiny colour photographs in 100 fine classes",
        classes: &CIFAR_100,
        train: 50_000,
        test: 10_000,
        side: 32,
        licence: "none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        layout: Layout::Cifar(Cifar::Hundred),
        files: &[RemoteFile {
            name: "cifar-100-binary.tar.gz",
            address: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            size: 168_513_733,
        }],
    },
];

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[rustfmt::skip]
const CIFAR_100: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_complete() {
        for entry in &ENTRIES {
            assert_eq!(find(entry.name).unwrap(), entry);
            assert_eq!(entry.files.is_empty(), entry.layout == Layout::Embedded, "{entry}");
            for file in entry.files {
                assert!(file.address.ends_with(file.name), "{}", file.address);
                assert_eq!(file.sha256.len(), 64, "{}", file.address);
                assert!(file.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
            }
        }
        // The sizes are those of the published pages: 11.6, 30.9, 170.1 and 168.5 MB.
        let sizes = ENTRIES.each_ref().map(Entry::download_size);
        assert_eq!(sizes, [0, 11_594_722, 30_878_645, 170_052_171, 168_513_733]);
    }

    #[test]
    fn the_fine_classes_of_cifar_are_in_the_order_of_the_alphabet() {
        assert!(CIFAR_100.is_sorted());
    }

    #[test]
    fn an_unknown_name_gets_the_known_ones() {
        let message = find("cifar").unwrap_err().to_string();
        assert_eq!(
            message,
            "no data set or folder \"cifar\": the known data sets are digits, mnist, fashion-mnist, cifar10, cifar100, \
             anything else is read as a folder"
        );
    }
}
