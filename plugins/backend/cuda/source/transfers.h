// What the transfers beside the computing need of the device's life.
#pragma once

namespace kasosei {

// Ends them, and gives their memory back.
void stop_transfers();

}  // namespace kasosei
