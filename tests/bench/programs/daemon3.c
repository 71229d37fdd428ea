/* What a program is that knows daemon(3) only. */

#define _DEFAULT_SOURCE
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count < 2 || daemon(0, 0) == -1)
        return 127;
    execv(arguments[1], arguments + 1);
    return 127;
}
