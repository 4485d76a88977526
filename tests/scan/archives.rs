//! Archives as package tools make them, one in another, damaged and made to burst.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::support::{Folder, found, token};

/// A zip with one deflated and one stored member.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (number, (name, content)) in members.iter().enumerate() {
        let deflated = number % 2 == 0;
        let packed = if deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(content).expect("memory takes everything");
            encoder.finish().expect("memory takes everything")
        } else {
            content.to_vec()
        };
        let at = u32::try_from(file.len()).expect("small");
        let mut common = Vec::new();
        common.extend(20_u16.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        common.extend(if deflated { 8_u16 } else { 0 }.to_le_bytes());
        common.extend([0; 4]);
        common.extend([0; 4]);
        common.extend(u32::try_from(packed.len()).expect("small").to_le_bytes());
        common.extend(u32::try_from(content.len()).expect("small").to_le_bytes());
        common.extend(u16::try_from(name.len()).expect("small").to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(&packed);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = u32::try_from(file.len()).expect("small");
    let count = u16::try_from(members.len()).expect("small");
    let len = u32::try_from(directory.len()).expect("small");
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(len.to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0; 2]);
    file
}

pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, content) in members {
        if name.len() > 100 {
            // As GNU tar writes a long name.
            file.extend(header("././@LongLink", name.len() + 1, b'L'));
            file.extend(name.as_bytes());
            file.resize((file.len() + 1).next_multiple_of(512), 0);
        }
        file.extend(header(&name[..name.len().min(100)], content.len(), b'0'));
        file.extend(*content);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file.resize(file.len() + 1024, 0);
    file
}

fn header(name: &str, size: usize, kind: u8) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

pub fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn bz2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).expect("it starts");
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn zst(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = b"!<arch>\n".to_vec();
    for (name, content) in members {
        file.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len()).as_bytes());
        file.extend(*content);
        if content.len() % 2 == 1 {
            file.push(b'\n');
        }
    }
    file
}

#[test]
fn packages_of_every_registry_are_read() {
    let secret = format!("password = {}\n", token("npm-access-token", 1));
    let secret = secret.as_bytes();
    let long = format!("pkg/{}/setup.cfg", "long".repeat(40));
    let folder = Folder::new()
        .with("a.whl", zip(&[("pkg/readme", b"no token"), ("pkg/.pypirc", secret), ("pkg/again", secret)]))
        .with("b.tar.gz", gz(&tar(&[(&long, secret)])))
        .with("c.crate", gz(&tar(&[("c/.cargo/credentials", secret)])))
        .with("d.gem", tar(&[("metadata.gz", &gz(b"x")), ("data.tar.gz", &gz(&tar(&[("lib/d.rb", secret)])))]))
        .with("e.tar.bz2", bz2(&tar(&[("e", secret)])))
        .with("f.tar.xz", xz(&tar(&[("f", secret)])))
        .with("g.tar.zst", zst(&tar(&[("g", secret)])))
        .with("h.deb", ar(&[("debian-binary", b"2.0\n"), ("data.tar.xz/", &xz(&tar(&[("./etc/h", secret)])))]))
        .with("i.image", tar(&[("manifest.json", b"[]"), ("blobs/layer", &tar(&[("root/.npmrc", secret)]))]))
        .with("j.gz", [gz(b"first part\n"), gz(secret)].concat())
        .with("k.zst", [zst(b"first part\n"), zst(secret)].concat());
    let report = folder.scan(&[]);
    let places: Vec<_> = found(&report).into_iter().map(|(_, place)| place).collect();
    let long = format!("b.tar.gz!/{long}");
    assert_eq!(
        places,
        [
            "a.whl!/pkg/.pypirc",
            "a.whl!/pkg/again",
            long.as_str(),
            "c.crate!/c/.cargo/credentials",
            "d.gem!/data.tar.gz!/lib/d.rb",
            "e.tar.bz2!/e",
            "f.tar.xz!/f",
            "g.tar.zst!/g",
            "h.deb!/data.tar.xz!/etc/h",
            "i.image!/blobs/layer!/root/.npmrc",
            "j.gz",
            "k.zst",
        ]
    );
    assert_eq!(report["complete"], true, "{}", report["coverage"]);
}

#[test]
fn an_archive_is_read_from_a_stream_as_well() {
    let secret = token("npm-access-token", 2);
    let archive = zip(&[("a", b"x"), ("b", &gz(&zip(&[("c", secret.as_bytes())])))]);
    let ran = Folder::new().run_with(&["scan", "-", "--json"], &archive);
    assert_eq!(found(&ran.json()), [("npm-access-token".into(), "stdin!/b!/c".into())]);
}

#[test]
fn a_bomb_is_left_at_its_limit_and_told() {
    let zeros = vec![0; 8 << 20];
    let mut bomb = gz(&zeros);
    for _ in 0..2 {
        bomb = gz(&bomb.repeat(20));
    }
    let folder = Folder::new().with("bomb.gz", &bomb).with("a", token("npm-access-token", 3));
    let ran = folder.run(&["scan", "--json", "--max-archive-size", "4M"]);
    assert_eq!(ran.json()["coverage"]["not_read"][0]["reason"], "archive over its limit");
    assert_eq!(found(&ran.json()).len(), 1, "the rest is read");
    assert_eq!(ran.code(), 1);
}

#[test]
fn a_quine_of_archives_ends_at_the_depth() {
    let mut nested = token("npm-access-token", 4).into_bytes();
    for _ in 0..9 {
        nested = gz(&nested);
    }
    let folder = Folder::new().with("nested.gz", nested);
    let ran = folder.run(&["scan", "--json"]);
    assert_eq!(ran.json()["coverage"]["not_read"][0]["reason"], "archive nested too deep");
    assert_eq!(ran.code(), 3);
    assert_eq!(folder.run(&["scan", "--allow-partial"]).code(), 0);
    assert_eq!(folder.run(&["scan", "--max-archive-depth", "20"]).code(), 1);
}

#[test]
fn a_damaged_archive_is_told_and_its_bytes_are_read() {
    let secret = token("npm-access-token", 5);
    let mut cut = zip(&[("a", b"x"), ("b", format!("x = {secret}\n").as_bytes())]);
    cut.truncate(cut.len() - 30);
    let whole = gz(&tar(&[("a", &[b'x'; 5000]), ("b", secret.as_bytes())]));
    let folder = Folder::new().with("cut.zip", cut).with("cut.tgz", &whole[..whole.len() - 20]);
    let report = folder.scan(&[]);
    assert_eq!(report["coverage"]["not_read"][0]["count"], 2, "{report}");
    assert_eq!(report["complete"], false);
    assert!(found(&report).iter().any(|(_, place)| place == "cut.zip"), "the stored member is in clear");
}

#[test]
fn no_archive_of_random_bytes_makes_it_panic() {
    let mut random = super::support::random(9);
    let mut folder = Folder::new();
    let valid = [
        zip(&[("a", b"some content"), ("b", b"more")]),
        tar(&[("a", b"x")]),
        ar(&[("a", b"x")]),
        gz(b"abc"),
        bz2(b"abc"),
        xz(b"abc"),
        zst(b"abc"),
    ];
    for (number, format) in valid.iter().enumerate() {
        for copy in 0..60 {
            let mut bytes = format.clone();
            for _ in 0..3 {
                let at = usize::try_from(random() % bytes.len() as u64).expect("small");
                bytes[at] = random().to_le_bytes()[0];
            }
            folder = folder.with(&format!("{number}/{copy}"), bytes);
        }
    }
    let ran = folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 3, "{}", ran.err());
    assert_eq!(ran.json()["coverage"]["files"], 60 * valid.len());
}
