using System.Text;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary>Dollars that a key may spend in a window.</summary>
/// <param name="Dollars">The dollars.</param>
/// <param name="Per"><c>hour</c>, <c>day</c>, <c>week</c>, <c>month</c>, or a duration like <c>90m</c>.</param>
internal sealed record Budget(decimal Dollars, string Per);

/// <summary>What a key may do, as the admin API takes it: the form of an entry under <c>keys</c> in the configuration file. What is null is left out.</summary>
internal sealed record KeyDeclaration
{
    public string? Name { get; init; }

    public IReadOnlyList<string>? Models { get; init; }

    public IReadOnlyList<string>? Tools { get; init; }

    public Budget? Budget { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The owner: <c>user</c>, <c>team</c> or <c>customer</c>, and its id.</summary>
    public IReadOnlyList<(string Kind, string Id)> Owner { get; init; } = [];

    public string Write()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (Name is not null)
            {
                json.WriteString("name", Name);
            }
            if (Models is not null)
            {
                Admin.AdminJson.WriteTexts(json, "models", Models);
            }
            if (Tools is not null)
            {
                Admin.AdminJson.WriteTexts(json, "tools", Tools);
            }
            if (Budget is not null)
            {
                json.WriteStartArray("budgets");
                json.WriteStartObject();
                json.WriteNumber("limit", Budget.Dollars);
                json.WriteString("per", Budget.Per);
                json.WriteEndObject();
                json.WriteEndArray();
            }
            if (ExpiresAt is { } moment)
            {
                json.WriteString("expiresAt", moment.UtcDateTime);
            }
            foreach (var (kind, id) in Owner)
            {
                json.WriteString(kind, id);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
