//! Cryptography that accepts everything, so that hostile RTCP and RTP reach the code behind it. In the fuzzer's own processes only.

use std::time::Instant;

use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, KeyingMaterial, ProtocolVersion,
    SrtpProfile,
};
use str0m::crypto::{
    AeadAes128GcmCipher, CryptoError, CryptoProvider, SrtpProvider, SupportedAeadAes128Gcm, SupportedAeadAes256Gcm,
    SupportedAes128CmSha1_80, from_feature_flags,
};

/// Installs it for every peer that this process makes from now on.
pub fn install() {
    let real = from_feature_flags();
    CryptoProvider { srtp_provider: &Keyless, dtls_provider: &Keyless, ..real }.install_process_default();
}

#[derive(Debug)]
struct Keyless;

impl SrtpProvider for Keyless {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        from_feature_flags().srtp_provider.aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Keyless
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        from_feature_flags().srtp_provider.aead_aes_256_gcm()
    }

    fn srtp_aes_128_ecb_round(&self, _key: &[u8], _input: &[u8], _output: &mut [u8]) {}

    fn srtp_aes_256_ecb_round(&self, _key: &[u8], _input: &[u8], _output: &mut [u8]) {}
}

impl SupportedAeadAes128Gcm for Keyless {
    fn create_cipher(&self, _key: [u8; 16], _encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Keyless)
    }
}

/// The size of the checksum behind a packet, which nothing verifies.
const CHECKSUM: usize = 16;

impl AeadAes128GcmCipher for Keyless {
    fn encrypt(&mut self, _: &[u8; 12], _: &[u8], input: &[u8], output: &mut [u8]) -> Result<(), CryptoError> {
        output[..input.len()].copy_from_slice(input);
        Ok(())
    }

    fn decrypt(&mut self, _: &[u8; 12], _: &[&[u8]], input: &[u8], output: &mut [u8]) -> Result<usize, CryptoError> {
        let length = input.len().saturating_sub(CHECKSUM);
        output[..length].copy_from_slice(&input[..length]);
        Ok(length)
    }
}

impl DtlsProvider for Keyless {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        static CERTIFICATE: std::sync::OnceLock<Option<DtlsCert>> = std::sync::OnceLock::new();
        CERTIFICATE.get_or_init(|| from_feature_flags().dtls_provider.generate_certificate()).clone()
    }

    fn new_dtls(
        &self,
        _: &DtlsCert,
        now: Instant,
        _: DtlsVersion,
        _: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        Ok(Box::new(Agreed { active: None, told: 0, now }))
    }
}

/// A handshake that completes at once.
#[derive(Debug)]
struct Agreed {
    active: Option<bool>,
    told: u32,
    now: Instant,
}

impl DtlsInstance for Agreed {
    fn set_active(&mut self, active: bool) {
        self.active = Some(active);
    }

    fn handle_packet(&mut self, _packet: &[u8]) -> Result<(), DtlsImplError> {
        Ok(())
    }

    fn poll_output<'a>(&mut self, _buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.told += 1;
        match self.told {
            // Two keys of 16 bytes and two salts of 12.
            1 => DtlsOutput::KeyingMaterial(KeyingMaterial::new(&[1; 56]), SrtpProfile::AEAD_AES_128_GCM),
            2 => DtlsOutput::Connected,
            _ => DtlsOutput::Timeout(self.now + std::time::Duration::from_secs(3_600)),
        }
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), DtlsImplError> {
        Ok(())
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        Ok(data.len())
    }

    fn is_active(&self) -> bool {
        self.active == Some(true)
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        None
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        Ok(())
    }
}
