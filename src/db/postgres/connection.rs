//! Reaching the server: TLS, single connections, the pool.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{self, Failure};
use crate::config::database::postgres::{Postgres, Tls};
use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// How long an act may take before its caller is told that the outcome is unknown.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Acts that change or list games run on these; most of the traffic has connections of its own.
const POOL: usize = 8;
/// Notices are for those who type SQL.
const QUIET: &str = "SET client_min_messages = warning";
/// A statement that nobody waits for any more ends too.
const SETTINGS: &str = "SET statement_timeout = '5s'";

/// Knows how to connect to one server.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    shown: String,
}

impl Connector {
    pub(super) fn new(postgres: &Postgres) -> Result<Self, StorageError> {
        let tls = MakeRustlsConnect::new(client_config(&postgres.tls)?);
        Ok(Self { config: postgres.config.clone(), tls, shown: postgres.to_string() })
    }

    /// The database as it may be shown.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// One connection, without any limit on the time of a statement.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        self.connect_and_watch().await.map(|(client, _)| client)
    }

    /// One connection for short acts, and a task that ends when the connection does.
    pub(super) async fn connect_for_acts(
        &self,
        settings: &str,
    ) -> Result<(Client, JoinHandle<()>), Failure> {
        let (client, ended) = self.connect_and_watch().await?;
        client.batch_execute(SETTINGS).await?;
        client.batch_execute(settings).await?;
        Ok((client, ended))
    }

    async fn connect_and_watch(&self) -> Result<(Client, JoinHandle<()>), Failure> {
        timeout(PATIENCE, self.handshake()).await.unwrap_or(Err(Failure::Late))
    }

    async fn handshake(&self) -> Result<(Client, JoinHandle<()>), Failure> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let ended = tokio::spawn(async move {
            // Whoever uses the client is told of the same error.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        client.batch_execute(QUIET).await?;
        Ok((client, ended))
    }

    /// Connections for short acts.
    pub(super) fn pool(&self) -> Result<Pool, StorageError> {
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), manager_config);
        let set = Hook::async_fn(|client, _| {
            Box::pin(
                async move { client.batch_execute(SETTINGS).await.map_err(HookError::Backend) },
            )
        });
        Pool::builder(manager).max_size(POOL).post_create(set).build().map_err(|e| {
            StorageError::with_source(ErrorKind::Internal, "the pool cannot be built", e)
        })
    }
}

/// Runs one act on a connection of the pool, in a task that goes on if nobody waits for it. One
/// deadline is for all of it, the wait for a connection included.
pub(super) async fn act<T, F>(
    pool: &Pool,
    context: ActContext,
    statements: impl FnOnce(Lent) -> F + Send + 'static,
) -> Result<T, StorageError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
{
    let pool = pool.clone();
    let task = async move {
        let is_late = Arc::new(AtomicBool::new(false));
        let lent = Arc::clone(&is_late);
        let mut running = Box::pin(async move {
            let connection = pool.get().await.map_err(error::pool)?;
            let connection = Lent { connection: Some(connection), is_late: lent };
            statements(connection).await.map_err(error::storage)
        });
        let deadline = context.deadline().min(Instant::now() + PATIENCE);
        match timeout_at(deadline, &mut running).await {
            Ok(outcome) => outcome,
            Err(_) => {
                is_late.store(true, Ordering::Relaxed);
                Err(error::late())
            }
        }
    };
    let ended = tokio::spawn(task).await;
    ended.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "an act on PostgreSQL panicked", e)
    })?
}

/// A connection of the pool. One whose act was late is not given back: it may be silent for ever.
pub(super) struct Lent {
    connection: Option<Object>,
    is_late: Arc<AtomicBool>,
}

impl Deref for Lent {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("it is there until the drop"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_late.load(Ordering::Relaxed)
            && let Some(connection) = self.connection.take()
        {
            drop(Object::take(connection));
        }
    }
}

fn client_config(tls: &Tls) -> Result<ClientConfig, StorageError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| StorageError::with_source(ErrorKind::Internal, "TLS cannot be set up", e))?;
    Ok(match tls {
        Tls::Unverified => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_no_client_auth(),
        Tls::Verified(file) => {
            builder.with_root_certificates(roots(file.as_deref())?).with_no_client_auth()
        }
    })
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, StorageError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let unusable = |why: String| {
        let text = format!("the certificates of {} cannot be used: {why}", file.display());
        StorageError::new(ErrorKind::Invalid, text)
    };
    let pem = fs::read(file).map_err(|e| unusable(e.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there is none in it".to_owned())) } else { Ok(roots) }
}

/// Takes any certificate, as libpq does under `prefer` and `require`: that keeps listeners out, not
/// impostors.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::database::postgres::parse;

    /// Lets one client in, and is gone when it asks for anything.
    async fn lets_in_and_goes(listener: TcpListener) {
        let (mut client, _) = listener.accept().await.unwrap();
        let length = client.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        client.read_exact(&mut startup).await.unwrap();
        client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        client.read_u8().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_breaks_while_it_is_new_is_no_defect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(lets_in_and_goes(listener));
        let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable");
        let pool = Connector::new(&parse(&url).unwrap()).unwrap().pool().unwrap();
        let error = act(&pool, ActContext::new(), |_| async { Ok(()) }).await.unwrap_err();
        server.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}
