#!/bin/sh
# Installs the Debian packages given, unless the Cortex-M compiler and the emulator already work.
works() {
	command -v qemu-system-arm >/dev/null &&
		echo 'int main() {}' | arm-none-eabi-g++ --specs=nosys.specs -x c++ -include stdint.h - -o /dev/null 2>/dev/null
}

if works; then
	exit 0
fi
if [ "$(id -u)" = 0 ]; then
	as_root=""
elif sudo -n true 2>/dev/null; then
	as_root="sudo"
else
	as_root="false"
fi
if [ "$as_root" != false ] && command -v apt-get >/dev/null; then
	$as_root apt-get update -qq && $as_root apt-get install -qq -y --no-install-recommends "$@"
fi
works || echo "Cortex-M tests will be skipped. Install: apt-get install $*" >&2
