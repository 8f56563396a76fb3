using System.Text;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary>What a key may do, as the admin API takes it: the form of an entry under <c>keys</c> in the configuration file.</summary>
internal static class KeyDeclaration
{
    public static string Write(string name, IEnumerable<string> models, IEnumerable<string> tools, string? budget, DateTimeOffset? expiresAt)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            Admin.AdminJson.WriteTexts(json, "models", models);
            Admin.AdminJson.WriteTexts(json, "tools", tools);
            if (budget is not null)
            {
                Admin.AdminJson.WriteTexts(json, "budgets", [budget]);
            }
            if (expiresAt is { } moment)
            {
                json.WriteString("expiresAt", moment.UtcDateTime);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
