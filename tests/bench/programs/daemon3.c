/* A launcher on daemon(3) alone. */

#define _DEFAULT_SOURCE
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2 || daemon(0, 0) == -1)
        return 127;
    execv(argv[1], argv + 1);
    return 127;
}
