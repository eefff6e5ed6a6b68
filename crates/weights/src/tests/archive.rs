//! ZIP archives that lie, and PyTorch's pickles that do more than they should.

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::golden::golden_bytes;
use super::*;
use crate::{FileFormat, PickleProblem};

/// An entry of a ZIP archive, with what its headers say of it.
pub(super) struct ZipEntry {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) method: u16,
    pub(super) length: u32,
    pub(super) crc: u32,
    pub(super) flags: u16,
}

pub(super) fn entry(name: &'static str, bytes: &[u8]) -> ZipEntry {
    let crc = crc(bytes);
    ZipEntry { name, bytes: bytes.to_vec(), method: 0, length: bytes.len() as u32, crc, flags: 0 }
}

pub(super) fn deflated(name: &'static str, bytes: &[u8]) -> ZipEntry {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    ZipEntry { bytes: encoder.finish().unwrap(), method: 8, ..entry(name, bytes) }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub(super) fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for ZipEntry { name, bytes, method, length, crc, flags } in entries {
        let position = file.len() as u32;
        let mut common = Vec::new();
        for field in [20, *flags, *method, 0, 33] {
            common.extend(field.to_le_bytes());
        }
        for field in [*crc, bytes.len() as u32, *length] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(position.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([(entries.len() as u16).to_le_bytes(); 2].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// A PyTorch archive with this pickle and one storage, `0`, of six floats.
fn archive_of(pickle: &[u8]) -> Vec<u8> {
    let floats: Vec<u8> = (0..6_u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    zip(&[entry("m/data.pkl", pickle), entry("m/data/0", &floats), entry("m/byteorder", b"little")])
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint, WeightsError> {
    Checkpoint::from_bytes("evil.pt", bytes)
}

fn error_of(pickle: &[u8]) -> WeightsError {
    let error = open(archive_of(pickle)).expect_err("it should be refused");
    let text = error.to_string();
    assert!(text.contains("evil.pt") && !text.contains('\n'), "{text}");
    error
}

fn problem_of(pickle: &[u8]) -> PickleProblem {
    match error_of(pickle) {
        WeightsError::Pickle { problem, .. } => problem,
        error => panic!("{error}"),
    }
}

/// Instructions that leave a storage of `length` floats on the stack.
fn storage(length: u8) -> Vec<u8> {
    [b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK".as_slice(), &[length], b"tQ"]
        .concat()
}

/// Instructions that leave a tensor on the stack: its first element, shape and strides are instructions too.
fn tensor(length: u8, first: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 6] =
        [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage(length), first, shape, strides, b"\x89}tR"];
    parts.concat()
}

/// The pickle of `{"w": tensor}`.
fn state(tensor: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0w", tensor, b"s."].concat()
}

#[test]
fn a_pickle_by_hand_is_read() {
    let checkpoint =
        open(archive_of(&state(&tensor(6, b"K\x01", b"K\x02K\x02\x86", b"K\x03K\x01\x86")))).unwrap();
    assert_eq!(floats(&checkpoint.tensor("w").unwrap()), [1.0, 2.0, 4.0, 5.0]);
}

#[test]
fn any_other_global_is_refused_by_name_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("was_run");
    let command = format!("touch {}", witness.display());
    let text = [&b"X"[..], &(command.len() as u32).to_le_bytes(), command.as_bytes()].concat();
    for (pickle, global) in [
        ([b"\x80\x02cos\nsystem\n", &text[..], b"\x85R."].concat(), "os.system"),
        ([b"\x80\x02cposix\nsystem\n", &text[..], b"\x85R."].concat(), "posix.system"),
        (b"\x80\x02cbuiltins\neval\n.".to_vec(), "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.".to_vec(), "os.system"),
        (b"\x80\x02(X\x01\0\0\0aios\nsystem\n.".to_vec(), "os.system"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n.".to_vec(), "torch.storage._load_from_bytes"),
        (b"\x80\x02cargparse\nNamespace\n)\x81.".to_vec(), "argparse.Namespace"),
        (b"\x80\x02c\x1b[2J\nx\n.".to_vec(), "\\u{1b}[2J.x"),
        // Hidden in an argument of what is allowed.
        (state(&tensor(6, b"cos\nsystem\n", b")", b")")), "os.system"),
    ] {
        let error = error_of(&pickle);
        assert!(
            matches!(&error, WeightsError::RefusedGlobal { global: named, .. } if named == global),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("asks for `{global}`")), "{error}");
    }
    assert!(!witness.exists());
}

#[test]
fn every_misuse_of_the_machine_is_an_error() {
    use PickleProblem::*;
    assert_eq!(problem_of(b""), CutOff);
    assert_eq!(problem_of(b"\x80\x02}"), CutOff);
    assert_eq!(problem_of(b"\x80\x00."), Protocol { version: 0 });
    assert_eq!(problem_of(b"\x80\x02\xff."), UnknownInstruction { opcode: 0xff });
    assert_eq!(problem_of(b"\x80\x02S'text'\n."), UnknownInstruction { opcode: b'S' });
    assert_eq!(problem_of(b"\x80\x02."), StackUnderflow);
    assert_eq!(problem_of(b"\x80\x02N\x86."), StackUnderflow);
    assert_eq!(problem_of(b"\x80\x02N(0."), StackUnderflow);
    assert_eq!(problem_of(b"\x80\x02](Na."), StackUnderflow, "an item may not come from below a mark");
    assert_eq!(problem_of(b"\x80\x02Nt."), NoMark);
    assert_eq!(problem_of(b"\x80\x02h\x07."), EmptyMemo { slot: 7 });
    assert_eq!(problem_of(b"\x80\x02j\xff\xff\xff\xff."), EmptyMemo { slot: u32::MAX });
    assert_eq!(problem_of(b"\x80\x02NN."), LeftOver);
    assert_eq!(problem_of(b"\x80\x02N.N"), LeftOver);
    assert_eq!(problem_of(b"\x80\x02N)R."), NotCallable);
    assert_eq!(problem_of(b"\x80\x02X\x02\0\0\0\xff\xfe."), NotText);
    assert_eq!(problem_of(b"\x80\x02NN\x93."), NotText);
    assert_eq!(problem_of(b"\x80\x02NNa."), WrongArguments { of: "APPEND" });
    assert_eq!(problem_of(b"\x80\x02}(NNNu."), WrongArguments { of: "SETITEM" });
    assert_eq!(problem_of(b"\x80\x02NNb."), WrongArguments { of: "BUILD" });
    assert_eq!(problem_of(b"\x80\x02NQ."), WrongArguments { of: "a storage" });
    assert_eq!(
        problem_of(b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R."),
        WrongArguments { of: "OrderedDict" }
    );
    assert!(matches!(problem_of(&[&b"\x80\x02c"[..], &[b'x'; 2000]].concat()), NotText));
}

#[test]
fn what_a_pickle_may_cost_is_bounded() {
    use PickleProblem::*;
    let claim = problem_of(b"\x80\x04\x8d\0\0\0\0\0\0\0\x10.");
    assert_eq!(claim, TooLong { claimed: 1 << 60, left: 1 });
    assert_eq!(problem_of(b"\x80\x04B\xff\xff\xff\xff."), TooLong { claimed: u32::MAX.into(), left: 1 });
    assert_eq!(
        problem_of(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."),
        TooLong { claimed: u64::MAX, left: 1 }
    );
    assert_eq!(problem_of(b"\x80\x02\x8b\xff\xff\xff\xff."), TooLong { claimed: u32::MAX.into(), left: 1 });
    assert_eq!(problem_of(&[b'('; 5000]), TooDeep { limit: 1000 });
    assert!(matches!(problem_of(&b"N0".repeat(4_500_000)), TooManySteps { .. }));
    // Instructions of one byte, or of less in a compressed file, that make many bytes each.
    let small = |pickle: &[u8]| {
        let file = zip(&[deflated("m/data.pkl", pickle), entry("m/data/0", &[0; 24])]);
        assert!(file.len() < 100_000);
        match open(file).unwrap_err() {
            WeightsError::Pickle { problem, .. } => problem,
            other => panic!("{other}"),
        }
    };
    for pickle in [&b"N".repeat(3_000_000)[..], &b"]0".repeat(1_000_000), &b"N2".repeat(1_000_000)] {
        assert_eq!(small(pickle), TooMuchMemory { limit: 8 << 20 });
    }
    let mut memorised = b"\x80\x04".to_vec();
    for slot in 0..200_000_u32 {
        memorised.extend([b"Nr".as_slice(), &slot.to_le_bytes(), b"0"].concat());
    }
    assert_eq!(problem_of(&memorised), TooMuchMemory { limit: 8 << 20 });
    let long = [b"X".as_slice(), &9_000_000_u32.to_le_bytes(), &[b'a'; 9_000_000]].concat();
    assert_eq!(small(&long), TooMuchMemory { limit: 8 << 20 });
    // Fifty thousand lists in each other are no trouble, but no tensors either.
    let nested = [&b"\x80\x02"[..], &vec![b']'; 50_000], &vec![b'a'; 49_999], b"."].concat();
    assert!(matches!(error_of(&nested), WeightsError::NoTensors { .. }));
    let nested = [&b"\x80\x02"[..], &b"}X\x01\0\0\0w".repeat(100), b"}", &[b's'; 100], b"."].concat();
    assert_eq!(problem_of(&nested), TooDeep { limit: 16 });
    // Two keys in each of thirty dictionaries lead to the next one: a billion ways to the last.
    let mut shared = b"\x80\x02}q\x00".to_vec();
    for level in 1..15_u8 {
        let (inner, outer) = (level - 1, level);
        shared.extend(
            [b"0}X\x01\0\0\0ah".as_slice(), &[inner], b"sX\x01\0\0\0bh", &[inner, b's', b'q', outer]]
                .concat(),
        );
    }
    shared.push(b'.');
    assert!(matches!(error_of(&shared), WeightsError::NoTensors { .. }));
    // A tensor under very many names.
    let mut many = [b"\x80\x02", &tensor(6, b"K\x00", b"K\x06\x85", b"K\x01\x85")[..], b"q\x000}("].concat();
    for index in 0..(1_u32 << 18) + 1 {
        many.extend([b"X\x06\0\0\0", format!("{index:06x}").as_bytes(), b"h\x00"].concat());
    }
    many.extend(b"u.");
    assert!(matches!(problem_of(&many), TooMuchMemory { .. }));
    assert_eq!(problem_of(b"\x80\x02}q\x00X\x01\0\0\0ah\x00s."), Cycle);
}

#[test]
fn views_beyond_their_storage_are_refused_by_tensor() {
    let refused = |length, first: &[u8], shape: &[u8], strides: &[u8]| {
        let error = error_of(&state(&tensor(length, first, shape, strides)));
        let WeightsError::BadTensor { tensor, reason, .. } = error else { panic!("{error}") };
        assert_eq!(tensor, "w");
        reason
    };
    let most = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f".as_slice();
    assert!(refused(6, b"K\x00", b"K\x07\x85", b"K\x01\x85").contains("reaches beyond the 6 elements"));
    assert!(refused(6, b"K\x06", b"K\x01\x85", b"K\x01\x85").contains("reaches beyond"));
    assert!(refused(6, most, b"K\x01\x85", b"K\x01\x85").contains("reaches beyond"));
    assert!(refused(6, b"K\x00", b"K\x03\x85", &[most, b"\x85"].concat()).contains("reaches beyond"));
    assert!(refused(6, b"K\x00", &[most, b"\x85"].concat(), b"K\x00\x85").contains("too large"));
    assert!(refused(6, b"K\x00", b"K\x02K\x02\x86", b"K\x01\x85").contains("2 dimensions and 1 strides"));
    assert!(refused(5, b"K\x00", b"K\x01\x85", b"K\x01\x85").contains("should have 20 bytes, it has 24"));
    // One element repeated 2^28 times takes a gigabyte.
    assert!(refused(6, b"K\x00", b"J\0\0\0\x10\x85", b"K\x00\x85").contains("too often"));
    // Negative numbers are no sizes.
    let negative = state(&tensor(6, b"J\xff\xff\xff\xff", b"K\x01\x85", b"K\x01\x85"));
    assert_eq!(problem_of(&negative), PickleProblem::WrongArguments { of: "_rebuild_tensor_v2" });
}

#[test]
fn names_that_occur_twice_and_storages_that_are_missing_are_named() {
    let w = tensor(6, b"K\x00", b"K\x06\x85", b"K\x01\x85");
    let twice = [b"\x80\x02}X\x01\0\0\0w", &w[..], b"sX\x01\0\0\0w", &w[..], b"s."].concat();
    let text = error_of(&twice).to_string();
    assert!(text.contains("tensor `w`: it occurs twice"), "{text}");

    let pickle = state(&w);
    let text = open(zip(&[entry("m/data.pkl", &pickle)])).unwrap_err().to_string();
    assert!(text.contains("tensor `w`: its storage, entry `m/data/0`, is missing"), "{text}");
}

#[test]
fn byte_order_and_compression_are_the_archives() {
    let pickle = state(&tensor(2, b"K\x00", b"K\x02\x85", b"K\x01\x85"));
    let big = [1.5_f32, -2.0].map(f32::to_be_bytes).concat();
    let file =
        zip(&[deflated("m/data.pkl", &pickle), deflated("m/data/0", &big), entry("m/byteorder", b"big")]);
    assert_eq!(floats(&open(file).unwrap().tensor("w").unwrap()), [1.5, -2.0]);
    // The second half of a compressed storage.
    let pickle = state(&tensor(6, b"K\x04", b"K\x02\x85", b"K\x01\x85"));
    let little = [0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat();
    let file = zip(&[entry("data.pkl", &pickle), deflated("data/0", &little)]);
    assert_eq!(floats(&open(file).unwrap().tensor("w").unwrap()), [4.0, 5.0]);
}

#[test]
fn archives_of_something_else_are_named() {
    let refused = |entries: &[ZipEntry]| open(zip(entries)).unwrap_err().to_string();
    assert!(refused(&[entry("a.txt", b"x")]).contains("neither PyTorch's"));
    assert!(refused(&[entry("a/data.pkl", b"N."), entry("a/constants.pkl", b"N.")]).contains("TorchScript"));
    assert!(refused(&[entry("a/data.pkl", b"N."), entry("b/data.pkl", b"N.")]).contains("several"));
    assert!(refused(&[entry("a/data.pkl", b"\x80\x02N.")]).contains("holds no mapping"));
}

#[test]
fn archives_that_lie_are_refused_by_entry() {
    let ok = || entry("m/data.pkl", &state(&tensor(6, b"K\x00", b"K\x06\x85", b"K\x01\x85")));
    let refused = |entries: &[ZipEntry]| open(zip(entries)).unwrap_err();
    let bomb = ZipEntry { length: u32::MAX - 1, ..deflated("m/data/0", &[0; 24]) };
    let error = refused(&[ok(), bomb]);
    assert!(
        matches!(error, WeightsError::TooLarge { claimed, .. } if claimed == u64::from(u32::MAX - 1)),
        "{error}"
    );
    let error = refused(&[ok(), ZipEntry { length: 25, ..entry("m/data/0", &[0; 24]) }]);
    assert!(
        error.to_string().contains("entry `m/data/0`: it is stored as it is, but in 24 bytes"),
        "{error}"
    );
    let error = refused(&[ok(), ZipEntry { flags: 1, ..entry("m/data/0", &[0; 24]) }]);
    assert!(error.to_string().contains("entry `m/data/0`: it is encrypted"), "{error}");
    let error = refused(&[ok(), ZipEntry { method: 93, ..entry("m/data/0", &[0; 24]) }]);
    assert!(error.to_string().contains("compression method, 93"), "{error}");
    let error = refused(&[ok(), entry("m/data/0", &[0; 24]), entry("m/data/0", &[1; 24])]);
    assert!(error.to_string().contains("entry `m/data/0` occurs twice"), "{error}");
    assert!(matches!(error, WeightsError::Malformed { format: FileFormat::Zip, .. }));
    // Sizes beyond 32 bits that are said to stand elsewhere, but don't.
    let error = refused(&[ok(), ZipEntry { length: u32::MAX, ..deflated("m/data/0", &[0; 24]) }]);
    assert!(error.to_string().contains("64-bit sizes are missing"), "{error}");

    // These lies come out when the tensor is read.
    let read = |entry: ZipEntry| open(zip(&[ok(), entry])).unwrap().tensor("w").unwrap_err();
    let error = read(ZipEntry { crc: 7, ..entry("m/data/0", &[0; 24]) });
    assert!(
        matches!(&error, WeightsError::Checksum { entry, expected: 7, .. } if entry == "m/data/0"),
        "{error}"
    );
    let error = read(ZipEntry { length: 24, ..deflated("m/data/0", &[0; 1000]) });
    assert!(error.to_string().contains("entry `m/data/0`: it unpacks to more than 24 bytes"), "{error}");
    let error = read(ZipEntry { length: 24, ..deflated("m/data/0", &[0; 20]) });
    assert!(matches!(error, WeightsError::Malformed { format: FileFormat::PyTorch, .. }), "{error}");
}

#[test]
fn directories_that_lie_are_refused() {
    let whole = archive_of(&state(&tensor(6, b"K\x00", b"K\x06\x85", b"K\x01\x85")));
    let end = whole.len() - 22;
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        open(file).unwrap_err().to_string()
    };
    assert!(changed(end + 8, &[0xff, 0xff, 0xff, 0xff]).contains("65535 entries can't be in a directory of"));
    assert!(changed(end + 8, &[2, 0, 2, 0]).contains("belong to no entry"));
    assert!(changed(end + 16, &[0xf0, 0xff, 0xff, 0x7f]).contains("said to lie beyond the file"));
    assert!(changed(end + 4, &[1, 0]).contains("several disks"));
    let directory = u32::from_le_bytes(whole[end + 16..end + 20].try_into().unwrap()) as usize;
    assert!(changed(directory + 42, &[0xff, 0xff, 0xff, 0x7f]).contains("reaches into what follows"));
    // Two entries at one place.
    assert!(changed(directory + 46 + 10 + 42, &[0, 0, 0, 0]).contains("reaches into what follows"));
    assert!(
        open(whole[..end].to_vec()).unwrap_err().to_string().contains("its directory is missing at the end")
    );
}

#[test]
fn a_flipped_bit_in_a_storage_is_found_by_its_checksum() {
    let name = "formats_state.pt";
    let mut bytes = golden_bytes(name);
    let values = floats(&Checkpoint::from_bytes(name, bytes.clone()).unwrap().tensor("base").unwrap());
    let first = values[0].to_le_bytes();
    let second = values[1].to_le_bytes();
    let wanted = [first, second].concat();
    let at = bytes.windows(8).position(|window| window == wanted).unwrap();
    bytes[at] ^= 4;
    let error = Checkpoint::from_bytes(name, bytes).unwrap().tensor("base").unwrap_err();
    assert!(matches!(error, WeightsError::Checksum { .. }), "{error}");
}

#[test]
fn old_files_that_are_cut_or_changed_are_refused() {
    let whole = golden_bytes("formats_legacy.pt");
    for length in (0..whole.len()).step_by(7) {
        let error = open(whole[..length].to_vec()).unwrap_err().to_string();
        assert!(error.contains("evil.pt") && !error.contains('\n'), "{length}: {error}");
    }
    let error = open([&whole[..], b"x"].concat()).unwrap_err().to_string();
    assert!(error.contains("1 bytes follow its last storage"), "{error}");
}
