-- Sends each CT series to lesionmark once it is stable, asks lesionmark to commit to it (DICOM
-- storage commitment), looks at the outcome, and sends again what was not committed to.
--
-- Where a series stands is kept at the series: metadata 1024 is the number of its instances that
-- lesionmark has committed to. So a series is sent once for each state of it, also over restarts.
--
-- Orthanc 1.11.1 or later looks every LuaHeartBeatPeriod seconds. An older one looks whenever an
-- instance is stored, a series is stable or a job ends; use forward.py where that is too seldom.

local MODALITY = "lesionmark"  -- its name in DicomModalities
local KEPT = "1024"            -- the metadata
local LOOK_S = 1               -- seconds between two looks at the least
local CHANGES = 10000          -- at start, what was stable among so many last changes is sent

-- Seconds until the second try, doubled from try to try, and between two tries at the most.
local settings = GetOrthancConfiguration()["Lesionmark"] or {}
local FIRST_RETRY_S = settings["RetryAfterSeconds"] or 60
local LONGEST_RETRY_S = settings["RetryAtMostSeconds"] or 3600

local open = {}                -- by series: what was sent and not committed to yet
local lookedAt = 0

local function ask(path)
  local answer = RestApiGet(path)
  return answer and ParseJson(answer) or nil
end

local function send(series)
  local entry = open[series]
  local wait = math.min(FIRST_RETRY_S * 2 ^ entry.tries, LONGEST_RETRY_S)
  entry.tries, entry.due = entry.tries + 1, os.time() + wait
  -- A job, so that Orthanc goes on receiving meanwhile.
  local job = { Resources = { series }, Asynchronous = true, StorageCommitment = true }
  local begun = RestApiPost("/modalities/" .. MODALITY .. "/store", DumpJson(job, true))
  entry.job = begun and ParseJson(begun).ID or nil
end

-- Send a series unless it is none of ours to send, or is held there as it is.
local function consider(series)
  local found = ask("/series/" .. series)
  if not found or found.MainDicomTags.Modality ~= "CT" then return end
  local metadata = ask("/series/" .. series .. "/metadata?expand")
  local peer = ask("/modalities/" .. MODALITY .. "/configuration")
  if metadata.RemoteAET == peer.AET then return end  -- what it made must not go in circles
  local count = #found.Instances
  if tonumber(metadata[KEPT]) == count then return end
  if open[series] and open[series].count == count then return end
  open[series] = { count = count, tries = 0 }
  send(series)
end

-- Whether the series is kept there; else why not, or nothing while it is on its way.
local function outcome(entry)
  local job = entry.job and ask("/jobs/" .. entry.job)
  if not job then return false, "the job is gone" end
  if job.State == "Failure" then return false, job.ErrorDescription end
  if job.State ~= "Success" then return false, nil end
  local report = ask("/storage-commitment/" .. job.Content.StorageCommitmentTransactionUID)
  if not report then return false, "the request is forgotten" end
  if report.Status == "Success" then return true, nil end
  if report.Status == "Failure" then
    return false, "not committed to " .. #report.Failures .. " instances"
  end
  return false, "no report yet"
end

local function look()
  lookedAt = os.time()
  for series, entry in pairs(open) do
    local isKept, reason = outcome(entry)
    if isKept then
      RestApiPut("/series/" .. series .. "/metadata/" .. KEPT, tostring(entry.count))
      print("lesionmark keeps series " .. series)
      open[series] = nil
    elseif reason and os.time() >= entry.due then
      if ask("/series/" .. series) then
        print("lesionmark does not keep series " .. series .. ": " .. reason .. "; sent again")
        send(series)
      else
        open[series] = nil  -- deleted here
      end
    end
  end
end

local function lookNowAndThen()
  if next(open) and os.time() >= lookedAt + LOOK_S then look() end
end

function Initialize()
  local last = ask("/changes?last").Last
  local since = math.max(0, last - CHANGES)
  repeat
    local page = ask("/changes?limit=1000&since=" .. string.format("%d", since))
    for _, change in ipairs(page.Changes) do
      if change.ChangeType == "StableSeries" then consider(change.ID) end
    end
    since = page.Last
  until page.Done
end

function OnStableSeries(series)
  consider(series)
  lookNowAndThen()
end

function OnStoredInstance() lookNowAndThen() end
function OnJobSuccess() lookNowAndThen() end
function OnJobFailure() lookNowAndThen() end
function OnHeartBeat() lookNowAndThen() end
