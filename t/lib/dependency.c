/* What depends.c is linked with. */


const char *
dependency(void)
{
    return "found";
}
