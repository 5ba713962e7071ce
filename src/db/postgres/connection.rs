//! Connections: TLS, single ones, and the pool.
//!
//! Three kinds: those of a batch worker ([`super::batch`]), those of the pool for single statements
//! ([`with_client`]), and those without any time limit for loads, migrations and checks
//! ([`Connector::connect`]). Not here: what an error means, which is in [`super::error`].

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
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

/// How long a statement may take before its caller is told that the outcome is unknown.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of a pool. Most of the traffic does not use it: it is batched on its own ones.
const POOL: usize = 8;
/// Notices, such as of a table that exists already, would only be sent and thrown away.
const NO_NOTICES: &str = "SET client_min_messages = warning";
/// The server ends a statement whose caller has given up, so that it holds no locks any longer.
const SETTINGS: &str = "SET statement_timeout = '5s'";

/// Knows how to connect to one server.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    redacted: String,
}

impl Connector {
    pub(super) fn new(postgres: &Postgres) -> Result<Self, StorageError> {
        let tls = MakeRustlsConnect::new(client_config(&postgres.tls)?);
        Ok(Self { config: postgres.config.clone(), tls, redacted: postgres.to_string() })
    }

    /// The database's URL without its password.
    pub(super) fn redacted(&self) -> &str {
        &self.redacted
    }

    /// One connection without a limit on the time of a statement.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        self.connect_and_watch().await.map(|(client, _)| client)
    }

    /// One connection for requests, and a task that ends when the connection does.
    pub(super) async fn connect_for_requests(
        &self,
        settings: &str,
    ) -> Result<(Client, JoinHandle<()>), Failure> {
        let (client, ended) = self.connect_and_watch().await?;
        client.batch_execute(SETTINGS).await?;
        client.batch_execute(settings).await?;
        Ok((client, ended))
    }

    async fn connect_and_watch(&self) -> Result<(Client, JoinHandle<()>), Failure> {
        timeout(TIMEOUT, self.handshake()).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn handshake(&self) -> Result<(Client, JoinHandle<()>), Failure> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let ended = tokio::spawn(async move {
            // The statements in flight fail with the same error, so it is not logged again.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        client.batch_execute(NO_NOTICES).await?;
        Ok((client, ended))
    }

    /// Connections for requests.
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

/// Runs statements on a connection of the pool, in a task that a caller who goes away does not end.
/// One deadline covers all of it, the wait for a connection included.
pub(super) async fn with_client<T, F>(
    pool: &Pool,
    context: ActContext,
    statements: impl FnOnce(PooledClient) -> F + Send + 'static,
) -> Result<T, StorageError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
{
    let pool = pool.clone();
    let task = async move {
        // Owned by this task, so its permit is held until the statements have ended.
        let context = context;
        let deadline = context.deadline().min(Instant::now() + TIMEOUT);
        let Ok(connection) = timeout_at(deadline, pool.get()).await else {
            return Err(error::timeout());
        };
        let connection = Arc::new(connection.map_err(error::pool)?);
        let client = PooledClient(Arc::clone(&connection));
        let outcome = timeout_at(deadline, statements(client)).await;
        match outcome {
            Ok(Ok(value)) => Ok(value),
            // The session does not recover by itself, and nor do those that were opened beside it.
            Ok(Err(error)) if error::is_of_the_session(&error) => {
                close(connection);
                pool.retain(|_, _| false);
                Err(error::storage(error))
            }
            Ok(Err(error)) => Err(error::storage(error)),
            // Its statement may still run, and the next user would wait for that.
            Err(_) => {
                close(connection);
                Err(error::timeout())
            }
        }
    };
    let ended = tokio::spawn(task).await;
    ended.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "statements on PostgreSQL panicked", e)
    })?
}

/// A connection of the pool, which [`with_client`] gives back or closes when the statements have ended.
pub(super) struct PooledClient(Arc<Object>);

impl Deref for PooledClient {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.0
    }
}

/// Closes a connection instead of giving it back.
fn close(connection: Arc<Object>) {
    if let Some(connection) = Arc::into_inner(connection) {
        drop(Object::take(connection));
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
            .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate(provider)))
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

/// Accepts any certificate, as libpq does under `prefer` and `require`: that protects against
/// eavesdropping, not against a server in the middle.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
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

    /// Accepts one client, and closes the connection at its first statement.
    async fn accept_and_close(listener: TcpListener) {
        let (mut client, _) = listener.accept().await.unwrap();
        let length = client.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        client.read_exact(&mut startup).await.unwrap();
        client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        client.read_u8().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_breaks_while_it_is_new_is_unavailable_and_no_defect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(accept_and_close(listener));
        let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable");
        let pool = Connector::new(&parse(&url).unwrap()).unwrap().pool().unwrap();
        let error = with_client(&pool, ActContext::new(), |_| async { Ok(()) }).await.unwrap_err();
        server.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}
