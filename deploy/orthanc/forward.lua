-- Sends every CT series to the node as soon as it has been quiet for StableAge seconds.
-- Reports come back as SR, which is not sent on, so nothing goes in circles.
function OnStableSeries(seriesId, tags, metadata)
  if tags["Modality"] == "CT" then
    -- A job, so that Orthanc goes on receiving meanwhile.
    local job = { Resources = { seriesId }, Asynchronous = true }
    RestApiPost("/modalities/lesionmark/store", DumpJson(job, true))
  end
end
