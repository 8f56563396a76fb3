using System.Text.Json.Nodes;

namespace McpHub.OpenApi;

/// <summary>Finds what an operation answers when all goes well.</summary>
internal sealed class ResponseCompiler(LocalReferences references, SchemaBudget budget, bool isOpenApi30)
{
    private const int MostTypes = 8;

    /// <summary>The media types to ask for, and the schema of the result where it is always one JSON object.</summary>
    public (string Accept, JsonObject? Schema) Compile(JsonNode? responses)
    {
        var good = Successes(responses as JsonObject ?? []);
        var types = good.SelectMany(response => (response["content"] as JsonObject ?? []).Select(pair => pair.Key)).Where(MediaTypes.CanBeSent).Distinct(StringComparer.OrdinalIgnoreCase).ToList();
        // Where JSON is to be had, nothing else is of more use to a model.
        var wanted = types.Exists(MediaTypes.IsJson) ? types.Where(MediaTypes.IsJson) : types;
        var accept = string.Join(", ", [.. wanted.Take(MostTypes), types.Count == 0 ? $"{MediaTypes.Json}, */*;q=0.8" : "*/*;q=0.1"]);
        // With several answers that are right, a client that insists on one of them would refuse the others.
        return (accept, good.Count == 1 ? SchemaOf(good[0]) : null);
    }

    private List<JsonObject> Successes(JsonObject responses)
    {
        var found = new List<JsonObject>();
        foreach (var (status, response) in responses)
        {
            if (status.Length == 3 && status[0] == '2')
            {
                found.Add(Resolve(response) ?? []);
            }
        }
        if (found.Count == 0 && responses.TryGetPropertyValue("default", out var standard) && Resolve(standard) is { } only)
        {
            found.Add(only);
        }
        return found;
    }

    // What cannot be read of an answer makes it one of which nothing is known; the call itself can still be made.
    private JsonObject? Resolve(JsonNode? response)
    {
        try
        {
            return references.Follow(response) as JsonObject;
        }
        catch (DocumentException)
        {
            return null;
        }
    }

    private JsonObject? SchemaOf(JsonObject response)
    {
        if (response["content"] is not JsonObject content || content.Any(pair => !MediaTypes.IsJson(pair.Key) && !content.Any(other => MediaTypes.IsJson(other.Key))))
        {
            return null;
        }
        try
        {
            var schema = (references.Follow(content.FirstOrDefault(pair => MediaTypes.IsJson(pair.Key)).Value) as JsonObject)?["schema"];
            var converter = new SchemaConverter(references, budget, isOpenApi30, isInput: false);
            if (schema is null || !converter.IsObject(schema) || converter.ConvertRoot(schema) is not JsonObject result)
            {
                return null;
            }
            result["type"] = "object";
            converter.Finish(result);
            return result;
        }
        catch (DocumentException)
        {
            return null;
        }
    }
}
