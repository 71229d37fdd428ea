################################################################################
#
# rawdaemon
#
################################################################################

RAWDAEMON_VERSION = 0.1.0
RAWDAEMON_SOURCE = rawdaemon-$(RAWDAEMON_VERSION)-vendored.tar.gz
# The folder of this file.
RAWDAEMON_SITE = $(abspath $(RAWDAEMON_PKGDIR))
RAWDAEMON_SITE_METHOD = file
RAWDAEMON_LICENSE = MIT or Apache-2.0, BSD-2-Clause (syscalls)
RAWDAEMON_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE VENDOR/syscalls/LICENSE

# Buildroot overrides the profile by its environment: no LTO, 16 units and an
# optimization level of its own, which make the command half as large again.
# These come later, and win. Buildroot strips the file itself.
RAWDAEMON_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=z \
	CARGO_PROFILE_RELEASE_LTO=true \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
	CARGO_PROFILE_RELEASE_PANIC=abort \
	CARGO_PROFILE_RELEASE_STRIP=none

# cargo install would build it a second time.
define RAWDAEMON_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 \
		$(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/rawdaemon \
		$(TARGET_DIR)/usr/sbin/rawdaemon
endef

$(eval $(cargo-package))
