#include <cstdio>
#include <string>
#include <vector>

#include "orchestrator/cli/cli.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return sluice::orchestrator::cli::run_cli(words);
}
