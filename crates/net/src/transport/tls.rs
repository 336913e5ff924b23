//! Certificates: ours, read again when their files change, and whose are believed (RFC 5246, RFC 8446; RFC 5922 §7).

use crate::listen::{Identity, Listen, Tls, TlsVersion};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// A certificate that can be exchanged while connections are made.
struct Kept {
    identity: Identity,
    provider: Arc<CryptoProvider>,
    now: RwLock<(Arc<CertifiedKey>, Option<SystemTime>)>,
}

impl Kept {
    fn load(identity: &Identity, provider: &Arc<CryptoProvider>) -> io::Result<Arc<Kept>> {
        let now = RwLock::new((certified(identity, provider)?, written(identity)));
        Ok(Arc::new(Kept { identity: identity.clone(), provider: Arc::clone(provider), now }))
    }

    /// Reads the files again where they have changed; a bad pair leaves the old one in use.
    fn refresh(&self) {
        let seen = written(&self.identity);
        if self.now.read().unwrap_or_else(PoisonError::into_inner).1 == seen {
            return;
        }
        match certified(&self.identity, &self.provider) {
            Ok(key) => {
                tracing::info!(certificate = %self.identity.certificate.display(), "certificate read again");
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = (key, seen);
            }
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
        }
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Kept {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl rustls::client::ResolvesClientCert for Kept {
    fn resolve(&self, _issuers: &[&[u8]], schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.current();
        key.key.choose_scheme(schemes).is_some().then_some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// When the younger of the two files was written.
fn written(identity: &Identity) -> Option<SystemTime> {
    let at = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    at(&identity.certificate).max(at(&identity.key))
}

fn named(path: &Path, error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
}

fn certified(identity: &Identity, provider: &CryptoProvider) -> io::Result<Arc<CertifiedKey>> {
    let chain = certificates(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|e| named(&identity.key, e))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| named(&identity.certificate, e))?;
    Ok(Arc::new(key))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| named(path, e))?;
    let chain: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| named(path, e))?;
    if chain.is_empty() {
        return Err(named(path, "there is no certificate in it"));
    }
    Ok(chain)
}

fn roots<'p>(files: impl Iterator<Item = &'p Path>) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for file in files {
        for certificate in certificates(file)? {
            store.add(certificate).map_err(|e| named(file, e))?;
        }
    }
    Ok(store)
}

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match minimum {
        TlsVersion::V1_2 => &BOTH,
        TlsVersion::V1_3 => BOTH.get(..1).unwrap_or(&BOTH),
    }
}

/// All that TLS needs, both ways.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    provider: Arc<CryptoProvider>,
    kept: Vec<Arc<Kept>>,
    client: Arc<ClientConfig>,
    minimum: TlsVersion,
}

impl Certificates {
    /// Reads what calls out need.
    pub(crate) fn load(tls: &Tls) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let store = if tls.ca.is_empty() {
            let mut store = RootCertStore::empty();
            // A system without any is no fault until a certificate is to be believed.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            store
        } else {
            roots(tls.ca.iter().map(|p| p.as_path()))?
        };
        let bad = |e: &dyn fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, e.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(tls.minimum))
            .map_err(|e| bad(&e))?;
        let verifier: Arc<dyn ServerCertVerifier> = if store.is_empty() {
            Arc::new(Nobody(Arc::clone(&provider)))
        } else {
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
                .build()
                .map_err(|e| bad(&e))?
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut kept = Vec::new();
        let client = match &tls.identity {
            Some(identity) => {
                let ours = Kept::load(identity, &provider)?;
                kept.push(Arc::clone(&ours));
                builder.with_client_cert_resolver(ours)
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Certificates { provider, kept, client: Arc::new(client), minimum: tls.minimum })
    }

    /// What a listener needs.
    pub(crate) fn server(&mut self, listen: &Listen) -> io::Result<Arc<ServerConfig>> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "a TLS listener needs a certificate");
        let identity = listen.identity.as_ref().ok_or_else(missing)?;
        let ours = Kept::load(identity, &self.provider)?;
        self.kept.push(Arc::clone(&ours));
        let bad = |e: &dyn fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, e.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(self.minimum))
            .map_err(|e| bad(&e))?;
        let builder = if listen.client_ca.is_empty() {
            builder.with_no_client_auth()
        } else {
            let store = roots(listen.client_ca.iter().map(|p| p.as_path()))?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&self.provider));
            builder.with_client_cert_verifier(verifier.build().map_err(|e| bad(&e))?)
        };
        Ok(Arc::new(builder.with_cert_resolver(ours)))
    }

    /// For connections that we make.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// Reads changed certificates again. Connections that are up keep theirs.
    pub(crate) fn refresh(&self) {
        self.kept.iter().for_each(|k| k.refresh());
    }
}

/// Whether a certificate that was verified is one of this name or address (RFC 5922 §7.2).
pub(super) fn is_of(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let name = ServerName::try_from(name);
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}

/// Believes nobody: for systems without any authority, until one is configured.
#[derive(Debug)]
struct Nobody(Arc<CryptoProvider>);

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "nothing").unwrap();
        let said = Certificates::load(&Tls { ca: vec![ca], ..Tls::default() }).unwrap_err().to_string();
        assert!(said.contains("ca.pem"), "{said}");
        let missing = Identity { certificate: "/nowhere/a".into(), key: "/nowhere/b".into() };
        let tls = Tls { identity: Some(missing), ..Tls::default() };
        assert!(Certificates::load(&tls).unwrap_err().to_string().contains("/nowhere/a"));
    }
}
