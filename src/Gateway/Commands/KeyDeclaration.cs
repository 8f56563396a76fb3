using System.Text;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary>Dollars that a key may spend in a window.</summary>
/// <param name="Dollars">The dollars.</param>
/// <param name="Per"><c>hour</c>, <c>day</c>, <c>week</c>, <c>month</c>, or a duration like <c>90m</c>.</param>
internal sealed record Budget(decimal Dollars, string Per);

/// <summary>What a key may do, as the admin API takes it: the form of an entry under <c>keys</c> in the configuration file.</summary>
internal static class KeyDeclaration
{
    public static string Write(string name, IEnumerable<string> models, IEnumerable<string> tools, Budget? budget, DateTimeOffset? expiresAt)
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
                WriteBudget(json, budget);
            }
            if (expiresAt is { } moment)
            {
                json.WriteString("expiresAt", moment.UtcDateTime);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static void WriteBudget(Utf8JsonWriter json, Budget budget)
    {
        json.WriteStartArray("budgets");
        json.WriteStartObject();
        json.WriteNumber("limit", budget.Dollars);
        json.WriteString("per", budget.Per);
        json.WriteEndObject();
        json.WriteEndArray();
    }
}
