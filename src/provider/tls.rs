//! TLS for clients that bring their own: who is trusted, and what it is computed with.

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{ProviderError, files};

/// Names `ring` as the process's crypto provider, where nobody has named one: a client that can't be told picks it up.
pub(super) fn name_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker: then it is theirs.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// The certificate authorities in a file, PEM as it stands there; `key` names the setting.
pub(super) fn authorities(file: &str, key: &str) -> Result<Vec<u8>, ProviderError> {
    let unread = || ProviderError::Permanent(format!("`{key}` has no certificates in PEM that can be read"));
    let pem = files::read(file.as_ref()).ok().flatten().ok_or_else(unread)?;
    let mut certificates = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|_| unread())?;
        certificates += 1;
    }
    if certificates == 0 { Err(unread()) } else { Ok(pem) }
}
