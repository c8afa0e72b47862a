#include "recorder/recorder.h"

int main(int argc, char **argv)
{
    return worker_main(&recorder_worker, argc, argv);
}
