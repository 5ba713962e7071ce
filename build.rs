//! Embeds the built page into the program: every file of `client-dist/` as it is, and compressed by
//! gzip and brotli where that makes it smaller. Writes a table of them for `src/server/assets.rs`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use xxhash_rust::xxh3::xxh3_64;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("client-dist");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=client-dist");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    for name in ["index.html", "docs.html", "lab.html", "favicon.svg", "dist/bundle.js"] {
        if !files.contains(&root.join(name)) {
            return Err(
                format!("client-dist/{name} is missing: run npm run build in client/").into()
            );
        }
    }
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let name = file.strip_prefix(&root)?.to_str().ok_or("a file's name is not Unicode")?;
        entry(&mut table, &fs::read(file)?, file, name, &out.join(number.to_string()))?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn entry(table: &mut String, bytes: &[u8], file: &Path, name: &str, stem: &Path) -> Result<()> {
    let gzip = smaller(bytes, gzip(bytes)?, &stem.with_extension("gz"))?;
    let brotli = smaller(bytes, brotli(bytes)?, &stem.with_extension("br"))?;
    writeln!(
        table,
        "Embedded {{ name: {name:?}, plain: include_bytes!({file:?}), gzip: {gzip}, \
         brotli: {brotli}, hash: {:#x} }},",
        xxh3_64(bytes)
    )?;
    Ok(())
}

/// An expression for the compressed bytes, `None` where they would not be smaller.
fn smaller(plain: &[u8], compressed: Vec<u8>, to: &Path) -> Result<String> {
    if plain.len() < 1024 || compressed.len() >= plain.len() {
        return Ok("None".to_owned());
    }
    fs::write(to, compressed)?;
    Ok(format!("Some(include_bytes!({to:?}))"))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let parameters =
        brotli::enc::BrotliEncoderParams { quality: 9, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut compressed, &parameters)?;
    Ok(compressed)
}
