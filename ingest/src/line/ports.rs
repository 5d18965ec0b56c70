//! The serial ports of this machine, and the links by which each is always found.

use std::io;
use std::path::{Path, PathBuf};

use serial2_tokio::SerialPort;

/// Where the system keeps links that lead to a port by its adapter, whichever socket that is put into.
const BY_ID: &str = "/dev/serial/by-id";

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPort {
    /// Its device, which changes when adapters are put in in another order.
    pub device: PathBuf,
    /// The link that stays, where there is one.
    pub by_id: Option<PathBuf>,
}

/// The serial ports there are.
///
/// # Errors
/// Where the system cannot say.
pub fn ports() -> io::Result<Vec<FoundPort>> {
    Ok(with_links(SerialPort::available_ports()?, Path::new(BY_ID)))
}

/// Ports with the links of this folder that lead to them; and the links that lead to ports that nobody named.
fn with_links(devices: Vec<PathBuf>, folder: &Path) -> Vec<FoundPort> {
    let links = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let links: Vec<(PathBuf, PathBuf)> = links
        .filter_map(|link| Some((std::fs::canonicalize(link.path()).ok()?, link.path())))
        .collect();
    let mut ports: Vec<FoundPort> = devices
        .into_iter()
        .chain(links.iter().map(|(device, _)| device.clone()))
        .map(|device| {
            let link = links.iter().find(|(leads_to, _)| *leads_to == device);
            FoundPort { by_id: link.map(|(_, link)| link.clone()), device }
        })
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_by_the_link_that_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (usb, other, bare) = (root.join("ttyUSB0"), root.join("ttyUSB1"), root.join("ttyS0"));
        let folder = root.join("by-id");
        std::fs::create_dir(&folder).unwrap();
        for (port, link) in [(&usb, "usb-FTDI-a"), (&other, "usb-FTDI-b")] {
            std::fs::write(port, "").unwrap();
            std::os::unix::fs::symlink(port, folder.join(link)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("gone"), folder.join("usb-gone")).unwrap();
        let found = with_links(vec![usb.clone(), bare.clone()], &folder);
        let port = |device: &PathBuf, link: Option<&str>| FoundPort {
            device: device.clone(),
            by_id: link.map(|link| folder.join(link)),
        };
        let wanted =
            [port(&bare, None), port(&usb, Some("usb-FTDI-a")), port(&other, Some("usb-FTDI-b"))];
        assert_eq!(found, wanted);
        assert_eq!(with_links(vec![bare.clone()], &root.join("nowhere")), [port(&bare, None)]);
    }
}
