//! The page and its files, from the program itself or from a folder.
//!
//! The names of files under `assets/` contain a hash of their content, so caches may keep them
//! for ever; all other files keep their names and are revalidated each time by their entity tag.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use xxhash_rust::xxh3::xxh3_64;

use crate::web::etag;
use crate::web::problem::Problem;

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const PAGE: &str = "index.html";
/// The lab's page, which shows what its path names.
const LAB: &str = "lab.html";
const BUNDLE: &str = "dist/bundle.js";
const API_URL_META: &str = "<meta name=\"storefront-api-url\" content=\"";

struct Embedded {
    name: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
    hash: u64,
}

static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The files of the page by name, such as `index.html`; cheap to clone.
#[derive(Debug, Clone)]
pub struct Assets(Arc<HashMap<Cow<'static, str>, Asset>>);

#[derive(Debug)]
struct Asset {
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
    tag: HeaderValue,
    content_type: HeaderValue,
    cache: HeaderValue,
}

impl Assets {
    /// The page that was built into the program.
    #[must_use]
    pub fn embedded() -> Self {
        let files = EMBEDDED.iter().map(|file| {
            let asset = Asset {
                plain: Bytes::from_static(file.plain),
                gzip: file.gzip.map(Bytes::from_static),
                brotli: file.brotli.map(Bytes::from_static),
                tag: etag::tag(file.hash),
                content_type: content_type(file.name),
                cache: cache(file.name),
            };
            (Cow::Borrowed(file.name), asset)
        });
        Self(Arc::new(files.collect()))
    }

    /// The page in a folder, read once, now.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be read.
    pub fn folder(root: &Path) -> io::Result<Self> {
        let mut files = HashMap::new();
        read_folder(root, "", &mut files)?;
        Ok(Self(Arc::new(files)))
    }

    /// The same, but with the API found at this URL.
    ///
    /// # Errors
    /// Never in practice: compressing in memory.
    pub fn with_api_url(self, url: &str) -> io::Result<Self> {
        let url = url.trim_end_matches('/');
        let mut files = Arc::into_inner(self.0).unwrap_or_default();
        for (name, edit) in [(PAGE, page_for as fn(&str, &str) -> String), (BUNDLE, bundle_for)] {
            if let Some(asset) = files.get_mut(name) {
                let text = edit(&String::from_utf8_lossy(&asset.plain), url);
                *asset = Asset::new(name, text.into_bytes())?;
            }
        }
        Ok(Self(Arc::new(files)))
    }

    fn answer(&self, name: &str, request: &HeaderMap) -> Response {
        let Some(asset) = self.0.get(name) else {
            return Problem::new(StatusCode::NOT_FOUND, "There is no such file.").into_response();
        };
        let mut response = if etag::matches(request, &asset.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            asset.full(request)
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, asset.tag.clone());
        headers.insert(CACHE_CONTROL, asset.cache.clone());
        response
    }
}

impl Asset {
    fn new(name: &str, plain: Vec<u8>) -> io::Result<Self> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&plain)?;
        let gzip = encoder.finish()?;
        Ok(Self {
            tag: etag::tag(xxh3_64(&plain)),
            gzip: (plain.len() >= 1024 && gzip.len() < plain.len()).then(|| gzip.into()),
            brotli: None,
            plain: plain.into(),
            content_type: content_type(name),
            cache: cache(name),
        })
    }

    /// The whole file in the smallest encoding that the client accepts.
    fn full(&self, request: &HeaderMap) -> Response {
        let choices = [("br", &self.brotli), ("gzip", &self.gzip)];
        let chosen = choices.into_iter().find_map(|(name, bytes)| {
            Some((name, bytes.as_ref().filter(|_| accepts(request, name))?))
        });
        let (encoding, bytes) = chosen.unzip();
        let mut response = bytes.unwrap_or(&self.plain).clone().into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

/// The routes of the page. Any single path segment is a game's page; the page itself shows if there
/// is no such game.
pub fn page(assets: Assets) -> Router {
    Router::new()
        .route("/", file(PAGE))
        .route("/{game_id}", file(PAGE))
        .route("/dist/bundle.js", file(BUNDLE))
        .route("/{game_id}/dist/bundle.js", file(BUNDLE))
        .with_state(assets)
}

/// The routes of the API reference and of the page of activities, and of the files that both share with
/// the page. They do not depend on the services that are served: without activities their page says so.
pub fn reference(assets: Assets) -> Router {
    Router::new()
        .route("/assets/{*file}", get(hashed))
        .route("/favicon.svg", file("favicon.svg"))
        .route("/favicon.ico", file("favicon.svg"))
        .route("/docs", file("docs.html"))
        .route("/activities", file(PAGE))
        .with_state(assets)
}

/// The routes of the lab's page.
pub fn lab(assets: Assets) -> Router {
    Router::new()
        .route("/", file(LAB))
        .route("/run/{jobs}", file(LAB))
        .route("/compare/{first}/{second}", file(LAB))
        .route("/replay/{keys}/{patterns}", file(LAB))
        .route("/assets/{*file}", get(hashed))
        .route("/favicon.svg", file("favicon.svg"))
        .route("/favicon.ico", file("favicon.svg"))
        .route("/docs", file("docs.html"))
        .with_state(assets)
}

fn file(name: &'static str) -> MethodRouter<Assets> {
    get(async move |State(assets): State<Assets>, request: HeaderMap| assets.answer(name, &request))
}

async fn hashed(
    State(assets): State<Assets>,
    file: Result<extract::Path<String>, PathRejection>,
    request: HeaderMap,
) -> Response {
    // No file has a name that is not UTF-8.
    let name = file.map_or_else(|_| String::new(), |extract::Path(file)| format!("assets/{file}"));
    assets.answer(&name, &request)
}

/// Whether `Accept-Encoding` names the coding without refusing it.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn content_type(name: &str) -> HeaderValue {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let charset = if guess.type_() == "text" { "; charset=utf-8" } else { "" };
    HeaderValue::try_from(format!("{guess}{charset}"))
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn cache(name: &str) -> HeaderValue {
    if name.starts_with("assets/") { IMMUTABLE } else { REVALIDATE }
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut HashMap<Cow<'static, str>, Asset>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{file_name}");
        // A mounted Kubernetes ConfigMap has hidden folders beside the links to its files.
        if file_name.starts_with('.') {
            continue;
        }
        if std::fs::metadata(entry.path())?.is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), files)?;
        } else {
            let asset = Asset::new(&name, std::fs::read(entry.path())?)?;
            files.insert(Cow::Owned(name), asset);
        }
    }
    Ok(())
}

/// The URL has been parsed, which escapes quotes.
fn page_for(text: &str, url: &str) -> String {
    text.replacen(API_URL_META, &format!("{API_URL_META}{url}"), 1)
}

fn bundle_for(text: &str, url: &str) -> String {
    format!("globalThis.STOREFRONT_API_URL=globalThis.STOREFRONT_API_URL||\"{url}\";\n{text}")
}
