-- Bounces a song in Ardour: one track with Flowloop in Sync mode, its seed automated.
-- Arguments: folder of the session, name of the plugin, samples a loop, then the seed of each loop.
-- Writes FOLDER/export/bounce.wav by the export preset that ardour.rs has put into Ardour's settings.
local folder, name, loop = arg[1], arg[2], tonumber(arg[3])
local seeds = { table.unpack(arg, 4) }
local RATE = 44100

AudioEngine:set_backend("None (Dummy)", "", "")
local session = create_session(folder, "song", RATE)
assert(session, "no session")
local info = ARDOUR.LuaAPI.new_plugin_info(name, ARDOUR.PluginType.VST3)
assert(not info:isnil(), "Ardour does not know the plugin")
local channels = function(midi, audio)
  local count = ARDOUR.ChanCount(ARDOUR.DataType("midi"), midi)
  count:set(ARDOUR.DataType("audio"), audio)
  return count
end
local tracks = session:new_midi_track(
  ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1), ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2), true,
  info, nil, nil, 1, "Flowloop", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
local processor = tracks:front():nth_plugin(0)
local plugin = processor:to_insert():plugin(0)

-- The number of a parameter by its label.
local function find(label)
  for index = 0, plugin:parameter_count() - 1 do
    if plugin:parameter_label(index) == label then return index end
  end
  error("no parameter " .. label)
end

-- Sets a parameter by its share of the range.
local function set(label, share)
  local _, _, range = ARDOUR.LuaAPI.plugin_automation(processor, find(label))
  assert(ARDOUR.LuaAPI.set_processor_param(processor, find(label), range.lower + share * (range.upper - range.lower)))
end

set("Mode", 0.5)
set("Steps", 3 / 63)
set("Bars", 0)
set("Seed", seeds[1] / 9999)
local _, control, range = ARDOUR.LuaAPI.plugin_automation(processor, find("Seed"))
for index, seed in ipairs(seeds) do
  local value = range.lower + seed / 9999 * (range.upper - range.lower)
  -- It turns a little before each loop and stays.
  local from = index == 1 and 0 or (index - 1) * loop - 3000
  control:add(Temporal.timepos_t(from), value, false, false)
  control:add(Temporal.timepos_t(index * loop - 3001), value, false, false)
end
local parameter = Evoral.Parameter(ARDOUR.AutomationType.PluginAutomation, 0, find("Seed"))
processor:to_automatable():automation_control(parameter, false):set_automation_state(ARDOUR.AutoState.Play)

local export = session:simple_export()
assert(export:check_outputs(), "the export has no outputs")
assert(export:set_preset("6f0e6c1b-2b0e-4f0a-9a51-9a0f7d5c3e11"), "no preset")
export:set_range(0, #seeds * loop)
export:set_name("bounce")
export:set_folder(folder .. "/export")
assert(export:run_export(), "the export failed")
close_session()
quit()
