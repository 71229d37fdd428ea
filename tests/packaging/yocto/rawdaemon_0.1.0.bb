SUMMARY = "Start and stop programs as daemons"
DESCRIPTION = "Starts any program as a daemon, exits with a code that says whether it runs, \
and finds, signals and stops it later. One static file that needs neither libc nor /proc."
HOMEPAGE = "https://docs.rs/rawdaemon"
SECTION = "base"
# Releases before "blacksail" (2026) know | and & only.
LICENSE = "(MIT OR Apache-2.0) AND BSD-2-Clause"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=ea108a8b2304ca0a1487de0550283835 \
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
    file://VENDOR/syscalls/LICENSE;md5=ae64e08076d27d400db7473c525def06 \
"

# In the folder "files" beside this recipe. It has the crates, so there is no crate:// here.
SRC_URI = "file://rawdaemon-${PV}-vendored.tar.gz"

inherit cargo

CARGO_VENDORING_DIRECTORY = "${S}/VENDOR"

# The profile strips the command. BitBake does that itself, and refuses a file that is stripped already.
export CARGO_PROFILE_RELEASE_STRIP = "none"

COMPATIBLE_HOST = "(aarch64|arm|i.86|riscv64|x86_64).*-linux"

# The class installs into bindir, in some releases with the library.
do_install() {
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/rawdaemon ${D}${sbindir}/rawdaemon
    install -D -m 0644 ${S}/src/command/rawdaemon.8 ${D}${mandir}/man8/rawdaemon.8
    install -D -m 0644 ${S}/src/command/completion/rawdaemon.bash \
        ${D}${datadir}/bash-completion/completions/rawdaemon
    install -D -m 0644 ${S}/src/command/completion/_rawdaemon \
        ${D}${datadir}/zsh/site-functions/_rawdaemon
}

PACKAGE_BEFORE_PN += "${PN}-bash-completion ${PN}-zsh-completion"
FILES:${PN}-bash-completion = "${datadir}/bash-completion"
FILES:${PN}-zsh-completion = "${datadir}/zsh"
