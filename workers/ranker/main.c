#include "model/loader.h"
#include "ranker/worker.h"

int main(int argc, char **argv)
{
    if (loader_is_child(argc, argv))
        return loader_child_main();
    return worker_main(&ranker_worker, argc, argv);
}
