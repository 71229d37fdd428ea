/* libsystemd's own client. */
#include <systemd/sd-daemon.h>
#include <unistd.h>

int main(void)
{
	if (sd_notify(0, "READY=1\nSTATUS=serving") <= 0)
		return 1;
	pause();
	return 0;
}
